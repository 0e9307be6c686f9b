package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// domain is a trust domain: its authorities, and what its workload has.
type domain struct {
	id  spiffeid.ID
	ttl time.Duration

	lock     sync.Mutex
	root     *x509.Certificate
	rootKey  crypto.Signer
	key      crypto.Signer
	kid      string
	keys     int
	bundle   *spiffebundle.Bundle
	svid     *x509svid.SVID
	counts   map[string]int
	fault    fault
	changed  chan struct{} // Closed when something has changed.
	sequence uint64
}

// fault is what goes wrong: calls end with a code of gRPC, or not at all.
type fault struct {
	Code uint32
	Hang bool
}

func newDomain(id spiffeid.ID, ttl time.Duration) (*domain, error) {
	d := &domain{id: id, ttl: ttl, counts: map[string]int{}, changed: make(chan struct{})}
	d.bundle = spiffebundle.New(id.TrustDomain())
	d.bundle.SetRefreshHint(5 * time.Minute)
	if err := d.rotateRoot(); err != nil {
		return nil, err
	}
	return d, d.rotateKey()
}

// change does something and tells those who watch.
func (d *domain) change(something func() error) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	if err := something(); err != nil {
		return err
	}
	close(d.changed)
	d.changed = make(chan struct{})
	return nil
}

// rotateRoot makes another root beside those that there are, and an SVID of it.
func (d *domain) rotateRoot() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	root := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"test"}},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: d.id.TrustDomain().Name()}},
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return err
	}
	if d.root, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	d.rootKey = key
	d.bundle.AddX509Authority(d.root)
	d.next()
	return d.rotateSVID()
}

func (d *domain) rotateSVID() error {
	svid, err := d.issue(d.id)
	if err == nil {
		d.svid = svid
	}
	return err
}

// rotateKey makes another key for tokens beside those that there are.
func (d *domain) rotateKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	d.keys++
	d.key, d.kid = key, fmt.Sprintf("key-%d", d.keys)
	d.next()
	return d.bundle.AddJWTAuthority(d.kid, key.Public())
}

func (d *domain) next() {
	d.sequence++
	d.bundle.SetSequenceNumber(d.sequence)
}

// issue makes an SVID. It is good for a server on the loopback by the Web's rules too.
func (d *domain) issue(id spiffeid.ID) (*x509svid.SVID, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber:          serial(),
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(d.ttl),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{id.URL()},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:              []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, d.root, key.Public(), d.rootKey)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return x509svid.ParseRaw(der, pkcs8)
}

func serial() *big.Int {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	return number.Add(number, big.NewInt(1))
}

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/go-jose/go-jose/v4"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// control is what tests ask for.
func control(d *domain) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(writer http.ResponseWriter, request *http.Request) {
			answer, err := do(request)
			if err != nil {
				http.Error(writer, err.Error(), http.StatusBadRequest)
				return
			}
			writer.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(writer).Encode(answer)
		})
	}
	change := func(something func() error) func(*http.Request) (any, error) {
		return func(*http.Request) (any, error) {
			err := d.change(something)
			return d.state(), err
		}
	}
	handle("POST /control/rotate", change(d.rotateSVID))
	handle("POST /control/rotate-root", change(d.rotateRoot))
	handle("POST /control/rotate-key", change(d.rotateKey))
	handle("GET /control/state", func(*http.Request) (any, error) { return d.state(), nil })
	handle("GET /control/bundle", func(*http.Request) (any, error) {
		document, err := d.bundle.Marshal()
		return json.RawMessage(document), err
	})
	handle("POST /control/fault", func(request *http.Request) (any, error) {
		var wanted fault
		if err := json.NewDecoder(request.Body).Decode(&wanted); err != nil {
			return nil, err
		}
		return d.state(), d.change(func() error { d.fault = wanted; return nil })
	})
	handle("POST /control/svid", d.svidFor)
	handle("POST /control/token", d.tokenFor)
	return mux
}

func (d *domain) state() map[string]any {
	d.lock.Lock()
	defer d.lock.Unlock()
	counts := map[string]int{}
	for method, count := range d.counts {
		counts[method] = count
	}
	return map[string]any{
		"serial": d.svid.Certificates[0].SerialNumber.Text(16),
		"kid":    d.kid,
		"counts": counts,
	}
}

// svidFor makes an X.509-SVID for an id: chain and key as PEM.
func (d *domain) svidFor(request *http.Request) (any, error) {
	var wanted struct{ Id string }
	if err := json.NewDecoder(request.Body).Decode(&wanted); err != nil {
		return nil, err
	}
	id, err := spiffeid.FromString(wanted.Id)
	if err != nil {
		return nil, err
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	svid, err := d.issue(id)
	if err != nil {
		return nil, err
	}
	chain, key, err := svid.Marshal()
	return map[string]string{"chain": string(chain), "key": string(key)}, err
}

// tokenFor signs whatever it is told to, by an algorithm of choice. A key that fits it is made, and published if
// the domain is to vouch for it.
func (d *domain) tokenFor(request *http.Request) (any, error) {
	var wanted struct {
		Header, Claims map[string]any
		Algorithm      jose.SignatureAlgorithm
		Kid            string
		Published      bool
	}
	if err := json.NewDecoder(request.Body).Decode(&wanted); err != nil {
		return nil, err
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	if wanted.Algorithm == "" {
		token, err := d.sign(wanted.Header, wanted.Claims)
		return map[string]string{"token": token, "kid": d.kid}, err
	}
	key, err := keyFor(wanted.Algorithm)
	if err != nil {
		return nil, err
	}
	if wanted.Published {
		if err := d.bundle.AddJWTAuthority(wanted.Kid, key.Public()); err != nil {
			return nil, err
		}
	}
	token, err := sign(key, wanted.Algorithm, wanted.Kid, wanted.Header, wanted.Claims)
	return map[string]string{"token": token, "kid": wanted.Kid}, err
}

func (d *domain) sign(header, claims map[string]any) (string, error) {
	return sign(d.key, jose.ES256, d.kid, header, claims)
}

func sign(key crypto.Signer, algorithm jose.SignatureAlgorithm, kid string, header, claims map[string]any) (string, error) {
	options := &jose.SignerOptions{}
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func keyFor(algorithm jose.SignatureAlgorithm) (crypto.Signer, error) {
	switch algorithm {
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jose.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("no key for %q", algorithm)
}

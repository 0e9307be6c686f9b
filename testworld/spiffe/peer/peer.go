// Package peer has what the programs share: flags that may be given again, lines of JSON, and identities that come
// from the Workload API or from files.
package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// List is a flag that may be given several times.
type List []string

func (l *List) String() string     { return strings.Join(*l, ",") }
func (l *List) Set(s string) error { *l = append(*l, s); return nil }

// Print writes a line of JSON.
func Print(value any) {
	line, err := json.Marshal(value)
	Must(err)
	fmt.Println(string(line))
}

// Must ends the program with an error.
func Must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Listen opens a loopback port, and says so where a test looks for it.
func Listen(port int) net.Listener {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	Must(err)
	fmt.Fprintln(os.Stderr, "serving")
	return listener
}

// Files has the names of an identity's files. Without them, it comes from the Workload API.
type Files struct{ Chain, Key, Bundle string }

// Source is who the program is, and whom it trusts.
type Source interface {
	x509svid.Source
	x509bundle.Source
}

type fixed struct {
	*x509svid.SVID
	*x509bundle.Set
}

// Open gets an identity: PEM files and a bundle document, or what SPIFFE_ENDPOINT_SOCKET leads to.
func (f Files) Open(ctx context.Context) Source {
	if f.Chain == "" {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		source, err := workloadapi.NewX509Source(ctx)
		Must(err)
		return source
	}
	svid, err := x509svid.Load(f.Chain, f.Key)
	Must(err)
	bundle := Load(svid.ID.TrustDomain().Name(), f.Bundle)
	return fixed{svid, x509bundle.NewSet(bundle.X509Bundle())}
}

// Load reads a bundle document.
func Load(trustDomain, path string) *spiffebundle.Bundle {
	td, err := spiffeid.TrustDomainFromString(trustDomain)
	Must(err)
	bundle, err := spiffebundle.Load(td, path)
	Must(err)
	return bundle
}

// Authorizer lets in who is named, or else all of the trust domains named.
func Authorizer(ids, domains []string) tlsconfig.Authorizer {
	if len(ids) > 0 {
		var allowed []spiffeid.ID
		for _, id := range ids {
			parsed, err := spiffeid.FromString(id)
			Must(err)
			allowed = append(allowed, parsed)
		}
		return tlsconfig.AuthorizeOneOf(allowed...)
	}
	return tlsconfig.AdaptMatcher(func(id spiffeid.ID) error {
		for _, domain := range domains {
			if id.TrustDomain().Name() == domain {
				return nil
			}
		}
		return fmt.Errorf("trust domain %q is none of %q", id.TrustDomain(), domains)
	})
}

// Keys sums up a bundle.
func Summary(bundle *spiffebundle.Bundle) map[string]any {
	kids := []string{}
	for kid := range bundle.JWTAuthorities() {
		kids = append(kids, kid)
	}
	summary := map[string]any{
		"trust_domain": bundle.TrustDomain().Name(),
		"x509":         len(bundle.X509Authorities()),
		"jwt":          kids,
	}
	if sequence, ok := bundle.SequenceNumber(); ok {
		summary["sequence"] = sequence
	}
	if hint, ok := bundle.RefreshHint(); ok {
		summary["refresh_hint"] = int(hint / time.Second)
	}
	return summary
}

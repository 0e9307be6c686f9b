// Command bundles is go-spiffe's server and client of bundle endpoints.
//
//	bundles serve -port P -trust-domain D -bundle FILE -chain C -key K
//	                       serves a bundle document, read anew for each request; the profile follows from the
//	                       certificate: https_spiffe where it is an SVID
//	bundles fetch -url U -trust-domain D (-roots FILE | -id ID -bundle FILE)
//	                       https_web, or https_spiffe from a bundle that is known
//	bundles watch ...      the same again and again, with a line for each update and each error
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"bulla.example/testworld/spiffe/peer"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

func main() {
	if len(os.Args) < 2 {
		peer.Must(fmt.Errorf("serve, fetch or watch?"))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	port := flags.Int("port", 0, "where to serve")
	domain := flags.String("trust-domain", "", "whose bundle it is")
	document := flags.String("bundle", "", "a bundle document")
	chain := flags.String("chain", "", "the server's certificate chain, PEM")
	key := flags.String("key", "", "its key, PEM")
	url := flags.String("url", "", "the endpoint")
	roots := flags.String("roots", "", "whom to trust by the Web's rules, PEM")
	id := flags.String("id", "", "the endpoint's id, by SPIFFE's rules")
	updates := flags.Int("updates", 1, "how many updates to wait for")
	every := flags.Duration("every", 0, "how often to ask, instead of what the bundle says")
	timeout := flags.Duration("timeout", 20*time.Second, "for how long")
	peer.Must(flags.Parse(os.Args[2:]))
	td, err := spiffeid.TrustDomainFromString(*domain)
	peer.Must(err)
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()

	switch os.Args[1] {
	case "serve":
		handler, err := federation.NewHandler(td, file(*document))
		peer.Must(err)
		certificate, err := tls.LoadX509KeyPair(*chain, *key)
		peer.Must(err)
		server := http.Server{
			Handler:           handler,
			TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}},
			ReadHeaderTimeout: 10 * time.Second,
		}
		peer.Must(server.ServeTLS(peer.Listen(*port), "", ""))
	case "fetch":
		option, _ := trust(td, *roots, *id, *document)
		bundle, err := federation.FetchBundle(ctx, td, *url, option)
		peer.Must(err)
		peer.Print(peer.Summary(bundle))
	case "watch":
		option, set := trust(td, *roots, *id, *document)
		watcher := &watcher{left: *updates, every: *every, cancel: cancel, set: set}
		if err := federation.WatchBundle(ctx, td, *url, watcher, option); watcher.left > 0 {
			peer.Must(err)
		}
	default:
		peer.Must(fmt.Errorf("no such command: %s", os.Args[1]))
	}
}

// file is a bundle document that may change.
type file string

func (f file) GetBundleForTrustDomain(td spiffeid.TrustDomain) (*spiffebundle.Bundle, error) {
	return spiffebundle.Load(td, string(f))
}

// trust is how an endpoint is authenticated, and, for https_spiffe, by which bundles.
func trust(td spiffeid.TrustDomain, roots, id, document string) (federation.FetchOption, *spiffebundle.Set) {
	if id == "" {
		text, err := os.ReadFile(roots)
		peer.Must(err)
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			peer.Must(fmt.Errorf("%s has no certificates", roots))
		}
		return federation.WithWebPKIRoots(pool), nil
	}
	endpoint, err := spiffeid.FromString(id)
	peer.Must(err)
	set := spiffebundle.NewSet(peer.Load(endpoint.TrustDomain().Name(), document))
	return federation.WithSPIFFEAuth(set, endpoint), set
}

type watcher struct {
	left   int
	every  time.Duration
	cancel context.CancelFunc
	set    *spiffebundle.Set
}

func (w *watcher) NextRefresh(hint time.Duration) time.Duration {
	if w.every > 0 {
		return w.every
	}
	return max(hint, time.Second)
}

func (w *watcher) OnUpdate(bundle *spiffebundle.Bundle) {
	if w.set != nil {
		w.set.Add(bundle)
	}
	peer.Print(peer.Summary(bundle))
	if w.left--; w.left == 0 {
		w.cancel()
	}
}

func (w *watcher) OnError(err error) { peer.Print(map[string]any{"error": err.Error()}) }

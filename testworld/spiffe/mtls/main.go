// Command mtls is go-spiffe's server and client of mutual TLS.
//
//	mtls serve -port P -allow ID... -domain D...   answers each request with who asked
//	mtls call -url U -allow ID... -domain D...     asks, over one connection while it is kept
//
// Who it is comes from the Workload API, or from -chain, -key and -bundle.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"time"

	"bulla.example/testworld/spiffe/peer"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

func main() {
	if len(os.Args) < 2 {
		peer.Must(fmt.Errorf("serve or call?"))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	var ids, domains peer.List
	var files peer.Files
	flags.Var(&ids, "allow", "an id that the peer may have; may be given again")
	flags.Var(&domains, "domain", "a trust domain that the peer may be of; may be given again")
	flags.StringVar(&files.Chain, "chain", "", "the certificate chain, PEM")
	flags.StringVar(&files.Key, "key", "", "its key, PKCS #8 in PEM")
	flags.StringVar(&files.Bundle, "bundle", "", "a bundle document of its trust domain")
	port := flags.Int("port", 0, "where to serve")
	url := flags.String("url", "", "whom to ask")
	count := flags.Int("count", 1, "how many requests to make")
	pause := flags.Duration("pause", 0, "the pause between two")
	peer.Must(flags.Parse(os.Args[2:]))
	source := files.Open(context.Background())
	authorizer := peer.Authorizer(ids, domains)

	switch os.Args[1] {
	case "serve":
		server := http.Server{
			Handler:           http.HandlerFunc(answer),
			TLSConfig:         tlsconfig.MTLSServerConfig(source, source, authorizer),
			ReadHeaderTimeout: 10 * time.Second,
		}
		peer.Must(server.ServeTLS(peer.Listen(*port), "", ""))
	case "call":
		transport := &http.Transport{TLSClientConfig: tlsconfig.MTLSClientConfig(source, source, authorizer)}
		client := http.Client{Transport: transport, Timeout: 20 * time.Second}
		for i := range *count {
			if i > 0 {
				time.Sleep(*pause)
			}
			call(&client, *url)
		}
	default:
		peer.Must(fmt.Errorf("no such command: %s", os.Args[1]))
	}
}

func answer(writer http.ResponseWriter, request *http.Request) {
	writer.Header().Set("Content-Type", "application/json")
	peer.Must(json.NewEncoder(writer).Encode(who(request.TLS)))
}

func who(state *tls.ConnectionState) map[string]any {
	leaf := state.PeerCertificates[0]
	id, err := x509svid.IDFromCert(leaf)
	peer.Must(err)
	return map[string]any{
		"id":      id.String(),
		"serial":  leaf.SerialNumber.Text(16),
		"version": tls.VersionName(state.Version),
	}
}

func call(client *http.Client, url string) {
	var reused bool
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "GET", url, nil)
	peer.Must(err)
	response, err := client.Do(request)
	peer.Must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	peer.Must(err)
	peer.Print(map[string]any{
		"status": response.StatusCode,
		"body":   string(body),
		"peer":   who(response.TLS),
		"reused": reused,
	})
}

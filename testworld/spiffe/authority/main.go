// Command authority is a trust domain by the book, for tests of clients: a Workload API with go-spiffe's messages,
// certificates of Go's library and tokens of go-jose. Whoever may connect to the socket is the one workload.
//
// What a test wants of it, it asks for under /control/ on a loopback port.
package main

import (
	"flag"
	"log"
	"net"
	"net/http"
	"time"

	"bulla.example/testworld/spiffe/peer"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
)

func main() {
	port := flag.Int("port", 0, "the port for /control/")
	socket := flag.String("socket", "", "the path of the Workload API's socket")
	id := flag.String("id", "spiffe://domain.test/workload", "who the workload is")
	ttl := flag.Duration("ttl", time.Hour, "for how long an X.509-SVID is good")
	flag.Parse()
	parsed, err := spiffeid.FromString(*id)
	peer.Must(err)
	domain, err := newDomain(parsed, *ttl)
	peer.Must(err)
	listener, err := net.Listen("unix", *socket)
	peer.Must(err)
	server := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(server, &api{domain: domain})
	go func() { log.Fatal(server.Serve(listener)) }()
	log.Fatal(http.Serve(peer.Listen(*port), control(domain)))
}

// Command cloudkms is a Cloud KMS by the book, for tests: Google's own messages (kmspb) over REST as its
// client libraries speak it, and over gRPC where it is asked for, with keys in memory and Go's cryptography.
//
// What it does follows Google's documentation; what a test has it do wrong is a fault that the test asked
// for under /control/.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc"
)

func main() {
	port := flag.Int("port", 0, "the port for REST")
	rpc := flag.Int("grpc-port", 0, "a port for gRPC, which knows no permissions and no faults")
	flag.Parse()
	store := newStore()
	if *rpc != 0 {
		server := grpc.NewServer()
		kmspb.RegisterKeyManagementServiceServer(server, store)
		go func() { log.Fatal(server.Serve(listen(*rpc))) }()
	}
	listener := listen(*port)
	fmt.Fprintln(os.Stderr, "serving")
	log.Fatal(http.Serve(listener, newFront(store)))
}

func listen(port int) net.Listener {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		log.Fatal(err)
	}
	return listener
}

// Command workload is go-spiffe's client of the Workload API, and its judge of JWT-SVIDs.
//
//	workload fetch -audience A...          everything once, as one line of JSON
//	workload watch -updates N              a line for each update of the X.509 context, until there were N
//	workload watch-jwt -updates N          a line for each update of the JWT bundles, until there were N
//	workload validate -trust-domain D -bundle FILE -audience A
//	                                       a line for each token on standard input
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"sort"
	"time"

	"bulla.example/testworld/spiffe/peer"
	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func main() {
	if len(os.Args) < 2 {
		peer.Must(fmt.Errorf("fetch, watch, watch-jwt or validate?"))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	var audience peer.List
	flags.Var(&audience, "audience", "an audience; may be given again")
	subject := flags.String("subject", "", "whose JWT-SVID; the default one's if not given")
	updates := flags.Int("updates", 1, "how many updates to wait for")
	domain := flags.String("trust-domain", "", "whose bundle it is")
	bundle := flags.String("bundle", "", "a bundle document")
	timeout := flags.Duration("timeout", 20*time.Second, "for how long")
	peer.Must(flags.Parse(os.Args[2:]))
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()

	switch os.Args[1] {
	case "fetch":
		fetch(ctx, audience, *subject)
	case "watch":
		client := connect(ctx)
		peer.Must(ended(client.WatchX509Context(ctx, &contexts{counter{*updates, cancel}})))
	case "watch-jwt":
		client := connect(ctx)
		peer.Must(ended(client.WatchJWTBundles(ctx, &bundles{counter{*updates, cancel}})))
	case "validate":
		validate(jwtbundle.NewSet(peer.Load(*domain, *bundle).JWTBundle()), audience)
	default:
		peer.Must(fmt.Errorf("no such command: %s", os.Args[1]))
	}
}

func connect(ctx context.Context) *workloadapi.Client {
	client, err := workloadapi.New(ctx)
	peer.Must(err)
	return client
}

func fetch(ctx context.Context, audience []string, subject string) {
	client := connect(ctx)
	defer client.Close()
	result := map[string]any{}

	x509, err := client.FetchX509Context(ctx)
	peer.Must(err)
	result["x509"] = svids(x509)
	authorities := map[string]int{}
	for _, bundle := range x509.Bundles.Bundles() {
		authorities[bundle.TrustDomain().Name()] = len(bundle.X509Authorities())
	}
	result["x509_bundles"] = authorities
	alone, err := client.FetchX509Bundles(ctx)
	peer.Must(err)
	authorities = map[string]int{}
	for _, bundle := range alone.Bundles() {
		authorities[bundle.TrustDomain().Name()] = len(bundle.X509Authorities())
	}
	result["x509_bundles_alone"] = authorities

	keys, err := client.FetchJWTBundles(ctx)
	peer.Must(err)
	result["jwt_bundles"] = kids(keys)
	if len(audience) > 0 {
		params := jwtsvid.Params{Audience: audience[0], ExtraAudiences: audience[1:]}
		if subject != "" {
			params.Subject, err = spiffeid.FromString(subject)
			peer.Must(err)
		}
		svids, err := client.FetchJWTSVIDs(ctx, params)
		peer.Must(err)
		tokens := []any{}
		for _, svid := range svids {
			token := token(svid)
			_, err := jwtsvid.ParseAndValidate(svid.Marshal(), keys, audience[:1])
			token["validated"] = reason(err)
			_, err = client.ValidateJWTSVID(ctx, svid.Marshal(), audience[0])
			token["validated_by_server"] = reason(err)
			_, err = client.ValidateJWTSVID(ctx, svid.Marshal(), "somebody-else")
			token["other_audience_by_server"] = reason(err)
			tokens = append(tokens, token)
		}
		result["jwt"] = tokens
	}
	peer.Print(result)
}

func svids(context *workloadapi.X509Context) []any {
	result := []any{}
	for _, svid := range context.SVIDs {
		_, _, err := x509svid.Verify(svid.Certificates, context.Bundles)
		leaf := svid.Certificates[0]
		result = append(result, map[string]any{
			"id":         svid.ID.String(),
			"hint":       svid.Hint,
			"chain":      len(svid.Certificates),
			"serial":     leaf.SerialNumber.Text(16),
			"not_before": leaf.NotBefore.Unix(),
			"not_after":  leaf.NotAfter.Unix(),
			"key":        leaf.PublicKeyAlgorithm.String(),
			"signature":  leaf.SignatureAlgorithm.String(),
			"verified":   reason(err),
		})
	}
	return result
}

func token(svid *jwtsvid.SVID) map[string]any {
	return map[string]any{
		"token":    svid.Marshal(),
		"id":       svid.ID.String(),
		"audience": svid.Audience,
		"expiry":   svid.Expiry.Unix(),
		"claims":   svid.Claims,
		"hint":     svid.Hint,
	}
}

func kids(set *jwtbundle.Set) map[string][]string {
	result := map[string][]string{}
	for _, bundle := range set.Bundles() {
		found := []string{}
		for kid := range bundle.JWTAuthorities() {
			found = append(found, kid)
		}
		sort.Strings(found)
		result[bundle.TrustDomain().Name()] = found
	}
	return result
}

func validate(bundles jwtbundle.Source, audience []string) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		svid, err := jwtsvid.ParseAndValidate(lines.Text(), bundles, audience)
		if err != nil {
			peer.Print(map[string]any{"error": err.Error()})
			continue
		}
		peer.Print(token(svid))
	}
	peer.Must(lines.Err())
}

// counter ends the watch after so many updates.
type counter struct {
	left   int
	cancel context.CancelFunc
}

func (c *counter) update(line any) {
	if c.left <= 0 {
		return
	}
	peer.Print(line)
	if c.left--; c.left == 0 {
		c.cancel()
	}
}

type contexts struct{ counter }

func (c *contexts) OnX509ContextUpdate(context *workloadapi.X509Context) { c.update(svids(context)) }
func (c *contexts) OnX509ContextWatchError(err error)                    { told(err) }

type bundles struct{ counter }

func (b *bundles) OnJWTBundlesUpdate(set *jwtbundle.Set) { b.update(kids(set)) }
func (b *bundles) OnJWTBundlesWatchError(err error)      { told(err) }

func told(err error) { fmt.Fprintln(os.Stderr, "watch:", err) }

// ended is what a watch comes to: it was cancelled, after all that was asked for, or it failed.
func ended(err error) error {
	if err == context.Canceled || workloadCancelled(err) {
		return nil
	}
	return err
}

func reason(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

func workloadCancelled(err error) bool { return status.Code(err) == codes.Canceled }

package main

import (
	"context"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// tokenLife is for how long a JWT-SVID is good.
const tokenLife = 5 * time.Minute

type api struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	domain *domain
}

func (a *api) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	return updates(a, "FetchX509SVID", stream, func(d *domain) (*workload.X509SVIDResponse, error) {
		chain, key, err := d.svid.MarshalRaw()
		svid := &workload.X509SVID{SpiffeId: d.id.String(), X509Svid: chain, X509SvidKey: key, Bundle: d.roots()}
		return &workload.X509SVIDResponse{Svids: []*workload.X509SVID{svid}}, err
	})
}

func (a *api) FetchX509Bundles(_ *workload.X509BundlesRequest, stream grpc.ServerStreamingServer[workload.X509BundlesResponse]) error {
	return updates(a, "FetchX509Bundles", stream, func(d *domain) (*workload.X509BundlesResponse, error) {
		bundles := map[string][]byte{d.id.TrustDomain().IDString(): d.roots()}
		return &workload.X509BundlesResponse{Bundles: bundles}, nil
	})
}

func (a *api) FetchJWTBundles(_ *workload.JWTBundlesRequest, stream grpc.ServerStreamingServer[workload.JWTBundlesResponse]) error {
	return updates(a, "FetchJWTBundles", stream, func(d *domain) (*workload.JWTBundlesResponse, error) {
		keys, err := d.bundle.JWTBundle().Marshal()
		bundles := map[string][]byte{d.id.TrustDomain().IDString(): keys}
		return &workload.JWTBundlesResponse{Bundles: bundles}, err
	})
}

func (a *api) FetchJWTSVID(ctx context.Context, request *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	if err := a.enter(ctx, "FetchJWTSVID"); err != nil {
		return nil, err
	}
	d := a.domain
	if len(request.Audience) == 0 {
		return nil, status.Error(codes.InvalidArgument, "no audience")
	}
	if request.SpiffeId != "" {
		if id, err := spiffeid.FromString(request.SpiffeId); err != nil || id != d.id {
			return nil, status.Error(codes.PermissionDenied, "no such identity")
		}
	}
	d.lock.Lock()
	defer d.lock.Unlock()
	now := time.Now()
	claims := map[string]any{
		"sub": d.id.String(), "aud": request.Audience, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	}
	token, err := d.sign(map[string]any{"typ": "JWT"}, claims)
	if err != nil {
		return nil, err
	}
	svid := &workload.JWTSVID{SpiffeId: d.id.String(), Svid: token}
	return &workload.JWTSVIDResponse{Svids: []*workload.JWTSVID{svid}}, nil
}

func (a *api) ValidateJWTSVID(ctx context.Context, request *workload.ValidateJWTSVIDRequest) (*workload.ValidateJWTSVIDResponse, error) {
	if err := a.enter(ctx, "ValidateJWTSVID"); err != nil {
		return nil, err
	}
	svid, err := jwtsvid.ParseAndValidate(request.Svid, a.domain.bundle, []string{request.Audience})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	claims, err := structpb.NewStruct(svid.Claims)
	return &workload.ValidateJWTSVIDResponse{SpiffeId: svid.ID.String(), Claims: claims}, err
}

// updates sends what is now, and again whenever something has changed.
func updates[T any](a *api, method string, stream grpc.ServerStreamingServer[T], make func(*domain) (*T, error)) error {
	ctx := stream.Context()
	if err := a.enter(ctx, method); err != nil {
		return err
	}
	for {
		a.domain.lock.Lock()
		message, err := make(a.domain)
		changed := a.domain.changed
		a.domain.lock.Unlock()
		if err != nil {
			return err
		}
		if err := stream.Send(message); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
		// Who was served may be refused from now on.
		if err := a.faulty(ctx); err != nil {
			return err
		}
	}
}

// enter counts a call, refuses one without the header that the specification wants, and does what goes wrong.
func (a *api) enter(ctx context.Context, method string) error {
	a.domain.lock.Lock()
	a.domain.counts[method]++
	a.domain.lock.Unlock()
	headers, _ := metadata.FromIncomingContext(ctx)
	if values := headers.Get("workload.spiffe.io"); len(values) != 1 || values[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	return a.faulty(ctx)
}

func (a *api) faulty(ctx context.Context) error {
	a.domain.lock.Lock()
	fault := a.domain.fault
	a.domain.lock.Unlock()
	if fault.Hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if fault.Code != 0 {
		return status.Error(codes.Code(fault.Code), "as the test asked for")
	}
	return nil
}

// roots has the X.509 authorities, one after the other.
func (d *domain) roots() []byte {
	var all []byte
	for _, root := range d.bundle.X509Authorities() {
		all = append(all, root.Raw...)
	}
	return all
}

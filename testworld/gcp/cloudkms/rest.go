package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cloud.google.com/go/kms/apiv1/kmspb"
)

const maxBody = 4 * 1024 * 1024

// front speaks REST for a store, as google.api.http says of each method.
type front struct {
	store    *store
	accounts accounts
	faults   faults
	mutex    sync.Mutex
	// How often each method was asked for, whatever became of it.
	counts map[string]int
}

func newFront(store *store) http.Handler {
	f := &front{store: store, counts: map[string]int{}, accounts: newAccounts()}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/", f.serve)
	mux.HandleFunc("/control/", f.control)
	f.accounts.handle(mux)
	return mux
}

// call is one request, found to be for a method.
type call struct {
	method     string
	permission string
	// What the permission is needed on.
	resource string
	run      func(ctx context.Context) (proto.Message, error)
}

func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	call, err := f.route(r, body)
	fault := f.note(call.method)
	if fault != nil && fault.before(w, r) {
		return
	}
	if err == nil {
		err = f.accounts.check(r, call.permission, call.resource)
	}
	var answer proto.Message
	if err == nil {
		answer, err = call.run(r.Context())
	}
	code, text := written(answer, err, r)
	if fault != nil {
		fault.write(w, r, code, text)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(code)
	w.Write(text)
}

func (f *front) note(method string) *fault {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.counts[method]++
	return f.faults.next(method)
}

func (f *front) route(r *http.Request, body []byte) (call, error) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	last := strings.LastIndexByte(name, '/') + 1
	segment, verb, _ := strings.Cut(name[last:], ":")
	name = name[:last] + segment
	s := f.store
	switch r.Method + " " + verb {
	case "POST encrypt":
		req := &kmspb.EncryptRequest{}
		err := read(body, req)
		req.Name = name
		return call{"Encrypt", "cloudkms.cryptoKeyVersions.useToEncrypt", name,
			run(s.Encrypt, req)}, err
	case "POST decrypt":
		req := &kmspb.DecryptRequest{}
		err := read(body, req)
		req.Name = name
		return call{"Decrypt", "cloudkms.cryptoKeyVersions.useToDecrypt", name,
			run(s.Decrypt, req)}, err
	case "POST asymmetricSign":
		req := &kmspb.AsymmetricSignRequest{}
		err := read(body, req)
		req.Name = name
		return call{"AsymmetricSign", "cloudkms.cryptoKeyVersions.useToSign", name,
			run(s.AsymmetricSign, req)}, err
	case "POST updatePrimaryVersion":
		req := &kmspb.UpdateCryptoKeyPrimaryVersionRequest{}
		err := read(body, req)
		req.Name = name
		return call{"UpdateCryptoKeyPrimaryVersion", "cloudkms.cryptoKeys.update", name,
			run(s.UpdateCryptoKeyPrimaryVersion, req)}, err
	case "POST destroy":
		return call{"DestroyCryptoKeyVersion", "cloudkms.cryptoKeyVersions.destroy", name,
			run(s.DestroyCryptoKeyVersion, &kmspb.DestroyCryptoKeyVersionRequest{Name: name})}, nil
	case "POST restore":
		return call{"RestoreCryptoKeyVersion", "cloudkms.cryptoKeyVersions.restore", name,
			run(s.RestoreCryptoKeyVersion, &kmspb.RestoreCryptoKeyVersionRequest{Name: name})}, nil
	}
	if verb != "" {
		return call{method: "unknown"}, fail(codes.Unimplemented, "no method %s", verb)
	}
	return f.routePlain(r, name, body)
}

func (f *front) routePlain(r *http.Request, name string, body []byte) (call, error) {
	s, query := f.store, r.URL.Query()
	if before, found := strings.CutSuffix(name, "/publicKey"); found && r.Method == http.MethodGet {
		req := &kmspb.GetPublicKeyRequest{Name: before}
		return call{"GetPublicKey", "cloudkms.cryptoKeyVersions.viewPublicKey", before,
			run(s.GetPublicKey, req)}, nil
	}
	if before, found := strings.CutSuffix(name, "/cryptoKeyVersions"); found {
		if r.Method == http.MethodPost {
			req := &kmspb.CreateCryptoKeyVersionRequest{Parent: before}
			return call{"CreateCryptoKeyVersion", "cloudkms.cryptoKeyVersions.create", before,
				run(s.CreateCryptoKeyVersion, req)}, nil
		}
		size, _ := strconv.Atoi(query.Get("pageSize"))
		req := &kmspb.ListCryptoKeyVersionsRequest{
			Parent: before, PageSize: int32(size), PageToken: query.Get("pageToken"),
			Filter: query.Get("filter"), OrderBy: query.Get("orderBy"),
		}
		return call{"ListCryptoKeyVersions", "cloudkms.cryptoKeyVersions.list", before,
			run(s.ListCryptoKeyVersions, req)}, nil
	}
	if before, found := strings.CutSuffix(name, "/cryptoKeys"); found && r.Method == http.MethodPost {
		req := &kmspb.CreateCryptoKeyRequest{
			Parent: before, CryptoKeyId: query.Get("cryptoKeyId"), CryptoKey: &kmspb.CryptoKey{},
			SkipInitialVersionCreation: query.Get("skipInitialVersionCreation") == "true",
		}
		return call{"CreateCryptoKey", "cloudkms.cryptoKeys.create", before,
			run(s.CreateCryptoKey, req)}, read(body, req.CryptoKey)
	}
	if before, found := strings.CutSuffix(name, "/keyRings"); found && r.Method == http.MethodPost {
		req := &kmspb.CreateKeyRingRequest{Parent: before, KeyRingId: query.Get("keyRingId")}
		return call{"CreateKeyRing", "cloudkms.keyRings.create", before, run(s.CreateKeyRing, req)}, nil
	}
	mask := &fieldmaskpb.FieldMask{}
	if paths := query.Get("updateMask"); paths != "" {
		mask.Paths = strings.Split(strings.ReplaceAll(paths, "versionTemplate", "version_template"), ",")
	}
	isVersion := strings.Contains(name, "/cryptoKeyVersions/")
	switch {
	case r.Method == http.MethodGet && isVersion:
		req := &kmspb.GetCryptoKeyVersionRequest{Name: name}
		return call{"GetCryptoKeyVersion", "cloudkms.cryptoKeyVersions.get", name,
			run(s.GetCryptoKeyVersion, req)}, nil
	case r.Method == http.MethodGet:
		req := &kmspb.GetCryptoKeyRequest{Name: name}
		return call{"GetCryptoKey", "cloudkms.cryptoKeys.get", name, run(s.GetCryptoKey, req)}, nil
	case r.Method == http.MethodPatch && isVersion:
		told := &kmspb.CryptoKeyVersion{}
		err := read(body, told)
		told.Name = name
		req := &kmspb.UpdateCryptoKeyVersionRequest{CryptoKeyVersion: told, UpdateMask: mask}
		return call{"UpdateCryptoKeyVersion", "cloudkms.cryptoKeyVersions.update", name,
			run(s.UpdateCryptoKeyVersion, req)}, err
	case r.Method == http.MethodPatch:
		told := &kmspb.CryptoKey{}
		err := read(body, told)
		told.Name = name
		req := &kmspb.UpdateCryptoKeyRequest{CryptoKey: told, UpdateMask: mask}
		return call{"UpdateCryptoKey", "cloudkms.cryptoKeys.update", name,
			run(s.UpdateCryptoKey, req)}, err
	}
	return call{method: "unknown"}, fail(codes.Unimplemented, "no method %s %s", r.Method, name)
}

func run[Q any, A proto.Message](
	method func(context.Context, Q) (A, error), req Q,
) func(context.Context) (proto.Message, error) {
	return func(ctx context.Context) (proto.Message, error) {
		answer, err := method(ctx, req)
		return answer, err
	}
}

// By Google's own definition of the message; a field that it does not have is refused.
func read(body []byte, into proto.Message) error {
	if len(body) == 0 {
		return nil
	}
	if err := protojson.Unmarshal(body, into); err != nil {
		return invalid("Invalid JSON payload received. %v", err)
	}
	return nil
}

func written(answer proto.Message, err error, r *http.Request) (int, []byte) {
	if err != nil {
		return writtenError(err)
	}
	options := protojson.MarshalOptions{}
	options.UseEnumNumbers = strings.Contains(r.URL.Query().Get("$alt"), "enum-encoding=int")
	text, err := options.Marshal(answer)
	if err != nil {
		return writtenError(fail(codes.Internal, "%v", err))
	}
	return http.StatusOK, text
}

// As the JSON of an error is documented at https://google.aip.dev/193.
func writtenError(err error) (int, []byte) {
	told := status.Convert(err)
	details := []json.RawMessage{}
	for _, detail := range told.Proto().Details {
		text, err := protojson.Marshal(detail)
		if err == nil {
			details = append(details, text)
		}
	}
	code := httpCode(told.Code())
	text, _ := json.Marshal(map[string]any{"error": map[string]any{
		"code": code, "message": told.Message(), "status": statusName(told.Code()), "details": details,
	}})
	return code, text
}

// By google/rpc/code.proto.
func httpCode(code codes.Code) int {
	switch code {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Canceled:
		return 499
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

func statusName(code codes.Code) string {
	names := []string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
		"OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	if int(code) < len(names) {
		return names[code]
	}
	return "UNKNOWN"
}

package main

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"cloud.google.com/go/kms/apiv1/kmspb"
)

const domain = "cloudkms.googleapis.com"

func fail(code codes.Code, format string, args ...any) error {
	return status.Errorf(code, format, args...)
}

func invalid(format string, args ...any) error {
	return fail(codes.InvalidArgument, format, args...)
}

func detailed(code codes.Code, text string, details ...protoadapt.MessageV1) error {
	told, err := status.New(code, text).WithDetails(details...)
	if err != nil {
		return fail(codes.Internal, "%v", err)
	}
	return told.Err()
}

// Of a version whose state does not allow what was asked.
func notEnabled(version *kmspb.CryptoKeyVersion) error {
	state := version.State.String()
	violation := &errdetails.PreconditionFailure_Violation{
		Type: "KEY_" + state, Subject: version.Name,
	}
	return detailed(codes.FailedPrecondition,
		version.Name+" is not enabled, current state is: "+state+".",
		&errdetails.PreconditionFailure{
			Violations: []*errdetails.PreconditionFailure_Violation{violation},
		})
}

func denied(permission, resource string) error {
	return detailed(codes.PermissionDenied,
		"Permission '"+permission+"' denied on resource '"+resource+"' (or it may not exist).",
		&errdetails.ErrorInfo{
			Reason: "IAM_PERMISSION_DENIED", Domain: domain,
			Metadata: map[string]string{"permission": permission, "resource": resource},
		})
}

func unauthenticated(reason string) error {
	return detailed(codes.Unauthenticated,
		"Request had invalid authentication credentials.",
		&errdetails.ErrorInfo{Reason: reason, Domain: "googleapis.com"})
}

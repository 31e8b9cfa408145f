package retry

import (
	"context"
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrUncertain says that a request may have happened, or may still happen: no answer to it was seen.
var ErrUncertain = errors.New("the request may have happened, or may still happen")

// Class tells what an error says about the request that it answers.
type Class int

const (
	// OK: there is no error.
	OK Class = iota
	// DidNot: it was certainly not applied and will not be; sent again, it may succeed.
	DidNot
	// Unknown: it may have been applied, or may still be, seconds from now.
	Unknown
	// Never: it was refused, and will be refused as long as nobody changes it or the cluster.
	Never
)

// String names the class.
func (c Class) String() string {
	switch c {
	case OK:
		return "ok"
	case DidNot:
		return "did not happen"
	case Never:
		return "never will"
	default:
		return "unknown"
	}
}

// named are the errors whose class their gRPC code does not tell. They are recognised by the end of their text: the code is lost
// on "too many requests", and of the reason for a cancelled watch only "rpc error: code = X desc = the server's words" is left.
var named = []struct {
	err   error
	class Class
}{
	{rpctypes.ErrTooManyRequests, DidNot},  // the server's first check, long before the proposal
	{rpctypes.ErrInvalidAuthToken, DidNot}, // checked before the proposal; a new token is fetched for the next try
	{rpctypes.ErrAuthOldRevision, DidNot},  // checked when applied, before anything is written: rights changed under way
	{rpctypes.ErrLeaseNotFound, DidNot},    // a transaction checks all its leases before its first write; another lease may do
	{rpctypes.ErrNoSpace, Unknown},         // refused at the door under the alarm, but the write that trips the quota is applied
	// The rest is here for cancelled watches: their codes would say the same.
	{rpctypes.ErrPermissionDenied, Never},
	{rpctypes.ErrUserEmpty, Never}, // no name was given, though the server wants one
	{rpctypes.ErrCompacted, Never}, // that revision will not come back
}

// byCode classes what is not named. A code that is missing here is Unknown.
var byCode = map[codes.Code]Class{
	codes.OK:                 OK,
	codes.InvalidArgument:    Never, // etcd checks the form of a request before it proposes it; a wrong password is here too
	codes.OutOfRange:         Never, // compacted, or not there yet; a lease too long
	codes.NotFound:           Never, // a member
	codes.AlreadyExists:      Never,
	codes.FailedPrecondition: Never, // auth and membership: checked before anything is written
	codes.PermissionDenied:   Never, // checked before anything is written
	codes.Unauthenticated:    Never, // other than an invalid token
	codes.Unimplemented:      Never, // an older server, or a wrapped client
	codes.DataLoss:           Never, // the alarm of a corrupt cluster: nothing is applied any more
	codes.Canceled:           Unknown,
	codes.DeadlineExceeded:   Unknown,
	codes.Unavailable:        Unknown, // every flavour: what could not be sent looks like what was sent and not answered
	codes.Internal:           Unknown,
	codes.ResourceExhausted:  Unknown, // see tooLargeToSend
	codes.Unknown:            Unknown,
}

// tooLargeToSend begins what our own end says about a request above its limit: it was not sent. "received message larger than
// max" is no such proof: the server says it of a request, and our end, in the same words, of the answer to one that was applied.
const tooLargeToSend = "trying to send message larger than max"

// Of tells the class of an error of etcd's client, wrapped or not, of gRPC, or of a context. What it does not know is Unknown,
// since that is the safe side.
func Of(err error) Class {
	var gaveUp *gaveUpError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &gaveUp):
		return gaveUp.class
	case errors.Is(err, ErrUncertain), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Unknown
	}
	code, text := parse(err)
	for _, n := range named {
		if strings.HasSuffix(text, n.err.Error()) {
			return n.class
		}
	}
	if code == codes.ResourceExhausted && strings.Contains(text, tooLargeToSend) {
		return Never
	}
	if class, ok := byCode[code]; ok {
		return class
	}
	return Unknown
}

// parse returns the code of an error and the server's own words.
func parse(err error) (codes.Code, string) {
	var answer rpctypes.EtcdError
	if errors.As(err, &answer) {
		return answer.Code(), answer.Error()
	}
	var raw interface{ GRPCStatus() *status.Status }
	if errors.As(err, &raw) { // status.FromError would mix the words of the wrapping into the server's
		return raw.GRPCStatus().Code(), raw.GRPCStatus().Message()
	}
	return codes.Unknown, err.Error()
}

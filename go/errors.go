//go:build cgo

package karakp2p

// #include "karakp2p.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// Code is the number of a failure, the same in the C library and in all its packages.
type Code int

const (
	codeInternal    Code = C.KP2P_EINTERNAL
	codeInval       Code = C.KP2P_EINVAL
	codeNoMem       Code = C.KP2P_ENOMEM
	codeAgain       Code = C.KP2P_EAGAIN
	codeTimedOut    Code = C.KP2P_ETIMEDOUT
	codeIntr        Code = C.KP2P_EINTR
	codeClosed      Code = C.KP2P_ECLOSED
	codeCanceled    Code = C.KP2P_ECANCELED
	codeForked      Code = C.KP2P_EFORKED
	codeState       Code = C.KP2P_ESTATE
	codeNotFound    Code = C.KP2P_ENOTFOUND
	codeTooBig      Code = C.KP2P_ETOOBIG
	codeDuplicate   Code = C.KP2P_EDUPLICATE
	codeNoPeers     Code = C.KP2P_ENOPEERS
	codeExpired     Code = C.KP2P_EEXPIRED
	codeUnreachable Code = C.KP2P_EUNREACHABLE
	codeProto       Code = C.KP2P_EPROTO
	codeAddrInUse   Code = C.KP2P_EADDRINUSE
	codeAcces       Code = C.KP2P_EACCES
	codeLimit       Code = C.KP2P_ELIMIT
	codeNotSup      Code = C.KP2P_ENOTSUP
	codePeerID      Code = C.KP2P_EPEERID
)

var codeNames = map[Code]string{
	codeInternal: "EINTERNAL", codeInval: "EINVAL", codeNoMem: "ENOMEM", codeAgain: "EAGAIN",
	codeTimedOut: "ETIMEDOUT", codeIntr: "EINTR", codeClosed: "ECLOSED", codeCanceled: "ECANCELED",
	codeForked: "EFORKED", codeState: "ESTATE", codeNotFound: "ENOTFOUND", codeTooBig: "ETOOBIG",
	codeDuplicate: "EDUPLICATE", codeNoPeers: "ENOPEERS", codeExpired: "EEXPIRED",
	codeUnreachable: "EUNREACHABLE", codeProto: "EPROTO", codeAddrInUse: "EADDRINUSE",
	codeAcces: "EACCES", codeLimit: "ELIMIT", codeNotSup: "ENOTSUP", codePeerID: "EPEERID",
}

// String is the code's name in the C library without its prefix: "ECLOSED".
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("E%d", -int(c))
}

// What errors.Is finds in an error of this package. Each stands for one code.
var (
	ErrInternal    = sentinel(codeInternal)    // a bug, or a failure of the system without a name
	ErrInval       = sentinel(codeInval)       // an argument, key or value is wrong
	ErrNoMem       = sentinel(codeNoMem)       // the system, or the node's memory budget, has none left
	ErrAgain       = sentinel(codeAgain)       // a queue is full: try later
	ErrTimedOut    = sentinel(codeTimedOut)    // the time given, or the operation's own, has passed
	ErrIntr        = sentinel(codeIntr)        // not seen in Go
	ErrClosed      = sentinel(codeClosed)      // the node is closing or closed, or the subscription has ended
	ErrCanceled    = sentinel(codeCanceled)    // the context was cancelled
	ErrForked      = sentinel(codeForked)      // the process was forked
	ErrState       = sentinel(codeState)       // not started, or started already
	ErrNotFound    = sentinel(codeNotFound)    // no such peer, topic or record
	ErrTooBig      = sentinel(codeTooBig)      // larger than a limit; the text says size and limit
	ErrDuplicate   = sentinel(codeDuplicate)   // a message with this content was seen in the last minute
	ErrNoPeers     = sentinel(codeNoPeers)     // nobody to send to
	ErrExpired     = sentinel(codeExpired)     // held for a subscriber until PublishHold ran out
	ErrUnreachable = sentinel(codeUnreachable) // no address of the peer answers
	ErrProto       = sentinel(codeProto)       // the peer broke, or does not speak, the protocol
	ErrAddrInUse   = sentinel(codeAddrInUse)   // a listen address is taken
	ErrAcces       = sentinel(codeAcces)       // the system, or the deny list, forbids it
	ErrLimit       = sentinel(codeLimit)       // a configured or built-in limit is reached
	ErrNotSup      = sentinel(codeNotSup)      // not built, or of a kind that is not supported
	ErrPeerID      = sentinel(codePeerID)      // the peer is not who its address says

	// ErrQueueFull is ErrAgain by the name that fits TryPublish.
	ErrQueueFull = ErrAgain
)

// Error is a failure with the library's code. Text says which key, address, peer or argument it is
// about. It meets net.Error.
type Error struct {
	Code Code
	Text string
}

var _ net.Error = (*Error)(nil)

// sentinel has no text of its own: comparing by code is what Is does.
func sentinel(code Code) error { return &Error{Code: code} }

// Name is the code's: "ECLOSED".
func (e *Error) Name() string { return e.Code.String() }

func (e *Error) Error() string {
	if e.Text == "" {
		return "karakp2p: " + strerror(e.Code)
	}
	return "karakp2p: " + e.Text
}

// Is makes errors.Is(err, ErrClosed) true for every error with that code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Text == "" || t.Text == e.Text)
}

// Unwrap gives the standard library's error of the same meaning, or nil.
func (e *Error) Unwrap() error {
	switch e.Code {
	case codeTimedOut:
		return context.DeadlineExceeded
	case codeCanceled:
		return context.Canceled
	case codeClosed:
		return net.ErrClosed
	case codeAddrInUse:
		return syscall.EADDRINUSE
	case codeAcces:
		return fs.ErrPermission
	case codeNotSup:
		return errors.ErrUnsupported
	}
	return nil
}

// Timeout tells whether time has run out.
func (e *Error) Timeout() bool { return e.Code == codeTimedOut }

// Temporary tells whether the same call may succeed later.
//
// Deprecated: net.Error asks for it. Use errors.Is with ErrQueueFull or ErrTimedOut.
func (e *Error) Temporary() bool { return e.Code == codeAgain || e.Code == codeTimedOut }

func isCode(err error, code Code) bool {
	e, ok := err.(*Error)
	return ok && e.Code == code
}

// checkContext refuses nil, and a context that is over.
func checkContext(ctx context.Context, what string) error {
	if ctx == nil {
		return failf(codeInval, "%s: the context is nil", what)
	}
	if ctx.Err() != nil {
		return contextError(ctx, what)
	}
	return nil
}

// contextError is that of a context which is over.
func contextError(ctx context.Context, what string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return failf(codeTimedOut, "%s: not finished within the deadline", what)
	}
	return failf(codeCanceled, "%s: the context was cancelled", what)
}

// HandlerError is what Config.OnError is told of a function of yours that failed.
type HandlerError struct {
	Handler string // which: "OnEvent", `handler of "/chat/1"`
	Err     error  // what it returned; of a panic, what it panicked with
	Stack   []byte // of a panic, else nil
}

func (e *HandlerError) Error() string {
	if e.Stack != nil {
		return fmt.Sprintf("karakp2p: %s panicked: %v", e.Handler, e.Err)
	}
	return fmt.Sprintf("karakp2p: %s: %v", e.Handler, e.Err)
}

// Unwrap gives what the function returned.
func (e *HandlerError) Unwrap() error { return e.Err }

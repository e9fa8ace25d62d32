//go:build cgo

package karakp2p

import (
	"os"
	"syscall"
)

// watched is a descriptor of the library in Go's poller: a copy of it, since closing is the
// poller's way of ending a wait, and the library's own stays its own.
type watched struct {
	file *os.File
	raw  syscall.RawConn
}

func watchFD(fd int) (*watched, error) {
	copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return nil, &Error{Code: codeInternal, Text: "dup: " + errno.Error()}
	}
	file := os.NewFile(copied, "karakp2p")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, &Error{Code: codeInternal, Text: err.Error()}
	}
	return &watched{file, raw}, nil
}

// until calls done until it is true: at once, and then whenever the descriptor has become readable.
// False when the wait was ended by close.
//
// The poller reports changes, so done must use up what it finds, or be called again: the library
// makes the descriptor unreadable when the inbox is empty and when a publish is refused.
func (w *watched) until(done func() bool) bool {
	return w.raw.Read(func(uintptr) bool { return done() }) == nil
}

func (w *watched) close() { w.file.Close() }

package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary the service itself when a test starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv("SERVICE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// instance is a running service and what it prints.
type instance struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
}

func start(t *testing.T, command []string, args ...string) *instance {
	args = append([]string{"--listen", "/ip4/127.0.0.1/tcp/0"}, args...)
	s := &instance{t: t, cmd: exec.Command(command[0], append(command[1:], args...)...), lines: make(chan string, 1000)}
	s.cmd.Env = append(os.Environ(), "SERVICE=1")
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		s.in, err = s.cmd.StdinPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	go func() {
		defer close(s.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.lines <- lines.Text()
		}
	}()
	return s
}

func (s *instance) say(line string) { io.WriteString(s.in, line+"\n") }

func (s *instance) expect(prefix string) string {
	s.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				s.t.Fatalf("it ended before %q", prefix)
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-deadline:
			s.t.Fatalf("no %q", prefix)
		}
	}
}

// end stops it by a signal, or by the end of its input.
func (s *instance) end(sig os.Signal) {
	s.t.Helper()
	if sig != nil {
		s.cmd.Process.Signal(sig)
	} else {
		s.in.Close()
	}
	for range s.lines {
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Error(err)
	}
}

// TestService has three instances agree and end cleanly. SERVICE_PEER names a service of another language,
// which is then the second.
func TestService(t *testing.T) {
	own := []string{os.Args[0]}
	other := own
	if command := os.Getenv("SERVICE_PEER"); command != "" {
		other = strings.Fields(command)
	}
	first := start(t, own, "--key", filepath.Join(t.TempDir(), "key"))
	words := strings.Fields(first.expect("listening on"))
	address := words[len(words)-1]
	second := start(t, other, "--bootstrap", address)
	second.expect("listening on")
	first.say("colour=blue")
	second.expect("colour = blue")
	second.say("colour=red")
	first.expect("colour = red")
	third := start(t, own, "--bootstrap", address)
	third.expect("colour = red") // from the snapshot
	third.say("colour")
	third.expect("red")
	third.say("nothing")
	third.expect("(not set)")
	third.say("peers")
	third.expect("12D3KooW")
	first.end(os.Interrupt)
	second.end(syscall.SIGTERM)
	third.end(nil)
}

func TestOnlyChangesAreDecoded(t *testing.T) {
	for text, good := range map[string]bool{
		`{"set":"a","to":"b","at":1.5}`:         true,
		`{"ask":true,"at":1}`:                   true,
		`{"set":"a","to":"b"}`:                  false,
		`{"set":"a","at":1}`:                    false,
		`{"set":"a","to":1,"at":1}`:             false,
		`{"set":"a","to":"b","at":1e12}`:        false,
		`{"ask":true,"at":1,"set":"a"}`:         false,
		`{"set":"a","to":"b","at":1,"extra":1}`: false,
		`[]`:                                    false,
		``:                                      false,
	} {
		if _, err := changes.Decode([]byte(text)); (err == nil) != good {
			t.Error(text, err)
		}
	}
	var r row
	for _, text := range []string{`[1,"x"]`, `[1]`, `{}`, `["x",1]`} {
		if err := r.UnmarshalJSON([]byte(text)); (err == nil) != (text == `[1,"x"]`) {
			t.Error(text, err)
		}
	}
}

package cli_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// openTerminal makes a pseudo-terminal of Linux: what is written at one end is typed
// at the other.
func openTerminal(t *testing.T) (screen, keyboard *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := screen.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	var failed error
	err = fd.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed != nil {
			return
		}
		if number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); failed != nil {
			return
		}
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 120})
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	keyboard, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, keyboard
}

// terminal is a pseudo-terminal with what a person sees on it: the program has one end,
// the test types and reads at the other. It answers what programs ask terminals.
type terminal struct {
	t      *testing.T
	screen *os.File
	mu     sync.Mutex
	shown  *vt.Emulator
}

func (s *terminal) watch() {
	var answering sync.WaitGroup
	answering.Go(func() { _, _ = io.Copy(s.screen, s.shown) })
	buffer := make([]byte, 64<<10)
	for {
		n, err := s.screen.Read(buffer)
		if err != nil {
			break
		}
		s.mu.Lock()
		_, err = s.shown.Write(buffer[:n])
		s.mu.Unlock()
		if err != nil {
			s.t.Error(err)
		}
	}
	_ = s.shown.InputPipe().(io.Closer).Close()
	answering.Wait()
}

// text is what stands on the screen.
func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// expect waits until text stands on the screen.
func (s *terminal) expect(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(s.text(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the screen never shows %q, but\n%s", text, s.text())
		}
	}
}

func (s *terminal) typed(keys string) {
	s.t.Helper()
	if _, err := s.screen.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// conversation runs ebb init in a terminal, and after each text that appears types what
// stands beside it.
func conversation(t *testing.T, args []string, steps ...[2]string) (code int, stderr string) {
	t.Helper()
	screen, keyboard := openTerminal(t)
	s := &terminal{t: t, screen: screen, shown: vt.NewEmulator(120, 50)}
	p, _, errors := program()
	p.Stdin, p.Stdout = keyboard, keyboard
	p.Environ = append(p.Environ, "TERM=xterm-256color")
	done := make(chan int, 1)
	var watching sync.WaitGroup
	watching.Go(s.watch)
	go func() { done <- p.Execute(t.Context(), args) }()
	for _, step := range steps {
		s.expect(step[0])
		s.typed(step[1])
	}
	select {
	case code = <-done:
	case <-time.After(patience):
		t.Fatalf("the questions do not end:\n%s", s.text())
	}
	keyboard.Close()
	watching.Wait()
	screen.Close()
	return code, errors.String()
}

const enter = "\r"

// whole is every page, answered.
func whole() [][2]string {
	return [][2]string{
		{"ClearML server (1 of 7)", enter},
		{"┃ Web server", enter},
		{"┃ Files server", enter},
		{"┃ Access key", "KEY" + enter},
		{"${ENV:CLEARML_API_SECRET_KEY}", enter},
		{"AWS (2 of 7)", "us-east-1a" + enter},
		{"write the region us-east-1", "\x7f" + enter},
		{"┃ Use an IAM role", "y" + enter},
		{"Git (3 of 7)", enter},
		{"Workers (4 of 7)", enter},
		{"┃ Workers prefix", enter},
		{"┃ Polling", enter},
		{"┃ Base Docker", enter},
		{"Compute resource (5 of 7)", "gpu" + enter},
		{"┃ Instance types", "g5.xlarge" + enter},
		{"┃ Market", enter},
		{"┃ Subnets", enter},
		{"┃ Availability", enter},
		{"┃ AMI", "ami-01234567" + enter},
		{"┃ Max instances", "2" + enter},
		{"┃ Queues", "gpu" + enter},
		{"┃ EC2 tags", enter},
		{"┃ EBS device", enter},
		{"┃ Key pair", enter},
		{"┃ Security groups", enter},
		{"┃ CPU only", enter},
		{"Another compute resource?", enter},
		{"IAM instance profile (6 of 7)", enter},
		{"┃ Instance profile name", enter},
		{"The autoscaler (7 of 7)", enter},
		{"┃ Init script", "#!/bin/bash\necho hello" + enter},
		{"┃ Additional", enter},
		{"┃ Shutdown action", enter},
		{"Everything is there", enter},
	}
}

// TestInitForms fills in every form, with a mistake on the way.
func TestInitForms(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ebb.yaml")
	code, stderr := conversation(t, []string{"init", path}, whole()...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	f, err := config.Load(config.Source{Path: path, Environ: []string{"CLEARML_API_SECRET_KEY=x"}})
	if err != nil {
		t.Fatal(err)
	}
	if a := f.Autoscalers[0]; a.AWS.Region != "us-east-1" || !a.AWS.UseIAMRole || a.InitScript.Reveal() != "#!/bin/bash\necho hello" || a.Resources[0].Market != config.OnDemand {
		t.Errorf("got %+v", a)
	}
}

// TestInitFormsReplaceProposals types and pastes over what is proposed, edits it where
// an arrow came first, and is told when a reference has other text beside it.
func TestInitFormsReplaceProposals(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ebb.yaml")
	steps := whole()
	for n, step := range steps {
		switch step[0] {
		case "${ENV:CLEARML_API_SECRET_KEY}":
			steps[n][1] = "\x1b[D\x1b[CGLUED" + enter
		case "┃ Workers prefix":
			steps[n][1] = "\x1b[200~fleet\x1b[201~" + enter
		case "┃ Polling":
			steps[n][1] = "\x1b[D\x1b[C0s\x7f\x7f\x7f\x7f20s" + enter
		case "┃ Availability":
			steps[n][1] = "us-east-1b" + enter
		}
	}
	at := slices.IndexFunc(steps, func(s [2]string) bool { return s[0] == "AWS (2 of 7)" })
	steps = slices.Insert(steps, at, [2]string{"more than one reference", "\x15${ENV:MY_KEY}" + enter})
	code, stderr := conversation(t, []string{"init", path}, steps...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	f, err := config.Load(config.Source{Path: path, Environ: []string{"MY_KEY=x"}})
	if err != nil {
		t.Fatal(err)
	}
	a := f.Autoscalers[0]
	if a.ClearML.SecretKey.Reveal() != "x" || a.WorkersPrefix != "fleet" || a.PollingInterval != 20*time.Second || !slices.Equal(a.Resources[0].AvailabilityZones, []string{"us-east-1b"}) {
		t.Errorf("got %q, %v, %v", a.WorkersPrefix, a.PollingInterval, a.Resources[0].AvailabilityZones)
	}
}

// TestInitFormsLeft leaves in the middle and at the end: nothing is written.
func TestInitFormsLeft(t *testing.T) {
	t.Parallel()
	end := whole()
	end = append(end[:len(end)-1], [2]string{"Everything is there", "\x1b[A" + enter}) // up from the first line is the last
	for name, steps := range map[string][][2]string{
		"first page": {{"ClearML server (1 of 7)", "\x03"}},
		"later":      append(slices.Clone(whole()[:7]), [2]string{"┃ Use an IAM role", "\x03"}),
		"summary":    end,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ebb.yaml")
			code, stderr := conversation(t, []string{"init", path}, steps...)
			if entries, err := os.ReadDir(filepath.Dir(path)); code != 1 || !strings.Contains(stderr, "nothing was written") || err != nil || len(entries) > 0 {
				t.Errorf("exit %d: %s; left behind: %v", code, stderr, entries)
			}
		})
	}
}

// TestInitFormsKeepScripts walks past a script with tabs: it comes out as it was.
func TestInitFormsKeepScripts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ebb.yaml")
	from := filepath.Join(t.TempDir(), "from.yaml")
	if code, _, stderr := ebb(t.Context(), append([]string{"init", from, "--yes", "--set", "on_shutdown=all", "--set", "init_script=cat <<-E\n\thello\n\tE\n"}, enough()...)...); code != 0 {
		t.Fatal(stderr)
	}
	code, stderr := conversation(t, []string{"init", path, "--from", from},
		[2]string{"Everything is there", strings.Repeat("\x1b[B", 7) + enter},
		[2]string{"The autoscaler (7 of 7)", enter}, [2]string{"┃ Init script", enter}, [2]string{"┃ Additional", enter}, [2]string{"┃ Shutdown action", enter},
		[2]string{"Everything is there", enter})
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	f, err := config.Load(config.Source{Path: path, Environ: []string{"CLEARML_API_SECRET_KEY=x"}})
	if err != nil || f.Autoscalers[0].InitScript.Reveal() != "cat <<-E\n\thello\n\tE\n" || f.Autoscalers[0].OnShutdown != config.ShutdownAll {
		t.Errorf("got %q, %v", f.Autoscalers[0].InitScript.Reveal(), err)
	}
}

// TestTerminalIsNotAsked starts the test program, which links what ebb does, in a
// terminal that answers nothing. A library that asked it for its colors at the start
// would make every command wait for seconds, and write the question into its output.
func TestTerminalIsNotAsked(t *testing.T) {
	t.Parallel()
	screen, keyboard := openTerminal(t)
	defer screen.Close()
	var said strings.Builder
	var watching sync.WaitGroup
	watching.Go(func() { _, _ = io.Copy(&said, screen) })
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.list=^TestTerminalIsNotAsked$")
	program.Stdin, program.Stdout, program.Stderr = keyboard, keyboard, keyboard
	program.Env = []string{"TERM=xterm-256color"}
	program.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err := program.Run()
	keyboard.Close()
	watching.Wait()
	if err != nil || said.String() != "TestTerminalIsNotAsked\r\n" {
		t.Errorf("it ends with %v and says %q", err, said.String())
	}
}

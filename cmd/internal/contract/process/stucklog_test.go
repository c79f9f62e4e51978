//go:build unix

package process_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestLogThatNobodyReads runs ebb into a pipe that is full from the start and that
// nobody reads, as a log driver that hangs or `ebb run 2>&1 | less` has it: the engine
// does not wait for whoever reads its log.
func TestLogThatNobodyReads(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "keep")
	reader, writer := fullPipe(t)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "run", "--config", r.config)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	t.Cleanup(func() { reader.Close() })

	r.enqueue(t, 3, time.Second)
	within(t, time.Minute, "all tasks run", func() bool { return r.completed() == 3 })
	within(t, time.Minute, "all instances go", func() bool { return r.alive() == 0 })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ebb run ended with %v after SIGTERM", err)
	}
}

// fullPipe is a pipe that takes nothing more before somebody reads from it.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(ends[0])
	syscall.CloseOnExec(ends[1])
	if err := syscall.SetNonblock(ends[1], true); err != nil {
		t.Fatal(err)
	}
	for _, piece := range [][]byte{make([]byte, 4096), {0}} {
		for {
			if _, err := syscall.Write(ends[1], piece); errors.Is(err, syscall.EAGAIN) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := syscall.SetNonblock(ends[1], false); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(ends[0]), "reader"), os.NewFile(uintptr(ends[1]), "writer")
}

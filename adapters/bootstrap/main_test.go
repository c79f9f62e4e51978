package bootstrap_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary stand in for curl, so that the tests need no
// tool that a bare machine may lack.
func TestMain(m *testing.M) {
	if os.Getenv("EBB_TEST_CURL") != "" {
		if err := curl(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "curl:", err)
			os.Exit(22)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// curl does what the script asks of curl, and refuses what it does not know.
func curl(args []string) error {
	method, address, header := http.MethodGet, "", http.Header{}
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; arg {
		case "-sSf":
		case "--noproxy", "-m":
			i++
		case "-X":
			i++
			method = args[i]
		case "-H":
			i++
			addHeader(header, args[i])
		case "-K": // from standard input
			i++
			config, err := io.ReadAll(os.Stdin)
			if err != nil {
				return err
			}
			lines := bufio.NewScanner(bytes.NewReader(config))
			for lines.Scan() {
				value := strings.TrimPrefix(lines.Text(), "header = ")
				addHeader(header, strings.Trim(value, `"`))
			}
		default:
			if strings.HasPrefix(arg, "-") || address != "" {
				return fmt.Errorf("argument %q is not known here", arg)
			}
			address = arg
		}
	}
	request, err := http.NewRequest(method, address, http.NoBody)
	if err != nil {
		return err
	}
	request.Header = header
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the requested URL returned error: %d", response.StatusCode)
	}
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

func addHeader(header http.Header, line string) {
	name, value, _ := strings.Cut(line, ":")
	header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
}

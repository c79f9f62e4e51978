package bootstrap_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
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

// curl does what the scripts ask of curl, and refuses what it does not know and
// whatever is not on this machine.
func curl(args []string) error {
	method, address, body, after := http.MethodGet, "", "", ""
	header, fails := http.Header{}, false
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; arg {
		case "-sSf":
			fails = true
		case "-sS":
		case "--noproxy", "-m":
			i++
		case "-w":
			i++
			after = args[i]
		case "-X":
			i++
			method = args[i]
		case "-H":
			i++
			addHeader(header, args[i])
		case "-K": // from standard input
			i++
			if err := configure(os.Stdin, header, &body); err != nil {
				return err
			}
		default:
			if strings.HasPrefix(arg, "-") || address != "" {
				return fmt.Errorf("argument %q is not known here", arg)
			}
			address = arg
		}
	}
	if body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	if request.URL.Hostname() != "127.0.0.1" {
		return fmt.Errorf("could not resolve host %s", request.URL.Hostname())
	}
	request.Header = header
	return send(request, fails, after)
}

func send(request *http.Request, fails bool, after string) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if fails && response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("the requested URL returned error: %d", response.StatusCode)
	}
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	_, err = fmt.Print(strings.NewReplacer(`\n`, "\n", "%{http_code}", strconv.Itoa(response.StatusCode)).Replace(after))
	return err
}

// configure reads the options of a file for curl -K: name = "value", with a
// backslash before what is special in value.
func configure(file io.Reader, header http.Header, body *string) error {
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " = ")
		value, _ = strings.CutSuffix(strings.TrimPrefix(value, `"`), `"`)
		value = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", `\r`, "\r", `\t`, "\t").Replace(value)
		switch name {
		case "header":
			addHeader(header, value)
		case "user":
			header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(value)))
		case "data-raw":
			*body = value
		default:
			return fmt.Errorf("option %q is not known here", name)
		}
	}
	return lines.Err()
}

func addHeader(header http.Header, line string) {
	name, value, _ := strings.Cut(line, ":")
	header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
}

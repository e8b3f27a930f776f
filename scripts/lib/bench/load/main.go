// bench-load is the client of scripts/bench: it downloads over HTTP/1.1, plain or with TLS (the roots are those of
// SSL_CERT_FILE), with many connections, and costs so little that the
// server is what is measured. Bodies are read into a buffer, as every client must, counted, and dropped.
//
// It prints one JSON object (type report). A request fails on any status but 200 and 206, and on a body that is shorter than its
// Content-Length; failures are counted, and the client that failed stops.
package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type settings struct {
	clients  int
	requests int
	seconds  float64
	rate     int
	spread   bool
	headers  headers
	targets  []target
}

type target struct {
	address, request string
	tls              bool
}

type headers []string

func (h *headers) String() string         { return strings.Join(*h, ", ") }
func (h *headers) Set(value string) error { *h = append(*h, value); return nil }

// quantiles are milliseconds
type quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type clientReport struct {
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"`
}

type report struct {
	Seconds    float64        `json:"seconds"`
	CPUSeconds float64        `json:"cpuSeconds"`
	Bytes      int64          `json:"bytes"`
	Requests   int            `json:"requests"`
	Failures   int            `json:"failures"`
	Failure    string         `json:"failure,omitempty"`
	Whole      quantiles      `json:"wholeMs"`
	FirstByte  quantiles      `json:"firstByteMs"`
	Clients    []clientReport `json:"clients"`
}

type client struct {
	settings *settings
	index    int
	deadline time.Time

	connection net.Conn
	address    string
	reader     *bufio.Reader
	buffer     []byte

	bytes      int64
	whole      []float64
	firstBytes []float64
	elapsed    time.Duration
	failure    error
}

func main() {
	s := settings{}
	flag.IntVar(&s.clients, "clients", 1, "connections, each with one request at a time")
	flag.IntVar(&s.requests, "requests", 0, "requests of each client; 0: each URL once, or until -seconds")
	flag.Float64Var(&s.seconds, "seconds", 0, "stop after this time; 0: no limit")
	flag.IntVar(&s.rate, "rate", 0, "bytes per second that each client reads; 0: as fast as it can")
	flag.BoolVar(&s.spread, "spread", false, "start each client at another URL")
	flag.Var(&s.headers, "header", "a request header, 'Name: value'; repeatable")
	flag.Parse()
	if err := s.parseTargets(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench-load:", err)
		os.Exit(2)
	}
	if s.requests == 0 && s.seconds == 0 {
		s.requests = len(s.targets)
	}
	out, _ := json.Marshal(run(&s))
	fmt.Println(string(out))
}

func (s *settings) parseTargets(urls []string) error {
	if len(urls) == 0 {
		return errors.New("usage: bench-load [options] URL...")
	}
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Port() == "" {
			return fmt.Errorf("not an http or https URL with a port: %s", text)
		}
		var request strings.Builder
		fmt.Fprintf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\n", u.RequestURI(), u.Host)
		for _, header := range s.headers {
			request.WriteString(header + "\r\n")
		}
		request.WriteString("\r\n")
		s.targets = append(s.targets, target{u.Host, request.String(), u.Scheme == "https"})
	}
	return nil
}

func run(s *settings) report {
	started := time.Now()
	clients := make([]*client, s.clients)
	var group sync.WaitGroup
	for i := range clients {
		c := &client{settings: s, index: i}
		if s.seconds > 0 {
			c.deadline = started.Add(time.Duration(s.seconds * float64(time.Second)))
		}
		clients[i] = c
		group.Add(1)
		go func() {
			defer group.Done()
			c.failure = c.run()
			c.elapsed = time.Since(started)
		}()
	}
	group.Wait()
	r := report{Seconds: time.Since(started).Seconds(), CPUSeconds: cpuSeconds()}
	var whole, firstBytes []float64
	for _, c := range clients {
		r.Bytes += c.bytes
		r.Requests += len(c.whole)
		whole = append(whole, c.whole...)
		firstBytes = append(firstBytes, c.firstBytes...)
		r.Clients = append(r.Clients, clientReport{c.elapsed.Seconds(), c.bytes})
		if c.failure != nil {
			r.Failures++
			r.Failure = c.failure.Error()
		}
	}
	r.Whole, r.FirstByte = summary(whole), summary(firstBytes)
	return r
}

func (c *client) run() error {
	size := 256 << 10
	if c.settings.rate > 0 {
		size = 4 << 10
	}
	c.buffer = make([]byte, size)
	defer c.disconnect()
	for k := 0; c.settings.requests == 0 || k < c.settings.requests; k++ {
		if c.late() {
			return nil
		}
		at := k
		if c.settings.spread {
			at += c.index
		}
		err := c.get(c.settings.targets[at%len(c.settings.targets)])
		if err != nil && c.late() {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *client) late() bool { return !c.deadline.IsZero() && time.Now().After(c.deadline) }

func (c *client) get(t target) error {
	started := time.Now()
	if err := c.connect(t); err != nil {
		return err
	}
	if _, err := io.WriteString(c.connection, t.request); err != nil {
		return err
	}
	length, last, err := c.readHead()
	if err != nil {
		return err
	}
	if err := c.readBody(length, started); err != nil {
		return err
	}
	c.whole = append(c.whole, milliseconds(started))
	if last {
		c.disconnect()
	}
	return nil
}

func (c *client) connect(to target) error {
	if c.connection != nil && c.address == to.address {
		return nil
	}
	c.disconnect()
	connection, err := net.DialTimeout("tcp", to.address, 30*time.Second)
	if err != nil {
		return err
	}
	if c.settings.rate > 0 {
		// otherwise the kernel takes megabytes for a client that reads slowly
		_ = connection.(*net.TCPConn).SetReadBuffer(16 << 10)
	}
	if !c.deadline.IsZero() {
		_ = connection.SetDeadline(c.deadline)
	}
	if to.tls {
		host, _, _ := net.SplitHostPort(to.address)
		connection = tls.Client(connection, &tls.Config{ServerName: host})
	}
	c.connection, c.address = connection, to.address
	c.reader = bufio.NewReaderSize(connection, 4<<10)
	return nil
}

func (c *client) disconnect() {
	if c.connection != nil {
		c.connection.Close()
		c.connection = nil
	}
}

// readHead returns the length of the body, and whether the server closes the connection after it.
func (c *client) readHead() (length int64, last bool, err error) {
	length = -1
	line, err := c.reader.ReadString('\n')
	if err != nil {
		return 0, false, err
	}
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[1] != "200" && fields[1] != "206" {
		return 0, false, fmt.Errorf("answer %q", strings.TrimSpace(line))
	}
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil {
			return 0, false, err
		}
		name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !found {
			break
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-length":
			if length, err = strconv.ParseInt(value, 10, 64); err != nil {
				return 0, false, err
			}
		case "connection":
			last = strings.EqualFold(value, "close")
		}
	}
	if length < 0 {
		return 0, false, errors.New("the answer has no Content-Length")
	}
	return length, last, nil
}

func (c *client) readBody(length int64, started time.Time) error {
	first := true
	var pacing time.Time
	for left := length; left > 0; {
		part := c.buffer
		if int64(len(part)) > left {
			part = part[:left]
		}
		n, err := c.reader.Read(part)
		if n > 0 && first {
			c.firstBytes = append(c.firstBytes, milliseconds(started))
			first = false
			pacing = time.Now()
		}
		left -= int64(n)
		c.bytes += int64(n)
		if err != nil && left > 0 {
			return fmt.Errorf("%d of %d bytes: %w", length-left, length, err)
		}
		if c.settings.rate > 0 && left > 0 {
			due := pacing.Add(time.Duration(float64(length-left) / float64(c.settings.rate) * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
	}
	return nil
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }

func summary(values []float64) quantiles {
	if len(values) == 0 {
		return quantiles{}
	}
	sort.Float64s(values)
	at := func(share float64) float64 { return values[int(share*float64(len(values)-1))] }
	return quantiles{at(0.5), at(0.99), values[len(values)-1]}
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

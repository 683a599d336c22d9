// Connects to PostgreSQL with the standard library alone: what every Go driver's TLS comes down to.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"
)

const whoAmI = "select current_user, coalesce(client_dn, '') from pg_stat_ssl where pid = pg_backend_pid()"

func main() {
	if err := connect(); err != nil {
		fmt.Println(err)
		log.Fatal(err)
	}
}

func connect() error {
	host, port, role, database, mode := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), 10*time.Second)
	if err != nil {
		return err
	}
	connection.SetDeadline(time.Now().Add(20 * time.Second))
	if mode != "disable" {
		connection, err = begin(connection, host)
		if err != nil {
			return err
		}
	}
	startup := []byte{0, 3, 0, 0}
	for _, word := range []string{"user", role, "database", database, ""} {
		startup = append(append(startup, word...), 0)
	}
	if err := send(connection, nil, startup); err != nil {
		return err
	}
	if _, err := untilReady(connection); err != nil {
		return err
	}
	if err := send(connection, []byte{'Q'}, append([]byte(whoAmI), 0)); err != nil {
		return err
	}
	row, err := untilReady(connection)
	if err != nil {
		return err
	}
	fmt.Printf("ok\t%s\t%s\n", row[0], row[1])
	return nil
}

// The PostgreSQL protocol's own beginning of TLS (SSLRequest), then the handshake.
func begin(plain net.Conn, host string) (net.Conn, error) {
	config, err := config(host)
	if err != nil {
		return nil, err
	}
	if err := send(plain, nil, []byte{0x04, 0xd2, 0x16, 0x2f}); err != nil {
		return nil, err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(plain, answer); err != nil {
		return nil, err
	}
	if answer[0] != 'S' {
		return nil, errors.New("server refused TLS connection")
	}
	encrypted := tls.Client(plain, config)
	return encrypted, encrypted.Handshake()
}

func config(host string) (*tls.Config, error) {
	pem, err := os.ReadFile(os.Args[6])
	if err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: host, RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	if os.Args[7] != "" {
		pair, err := tls.LoadX509KeyPair(os.Args[7], os.Args[8])
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func send(to io.Writer, kind []byte, body []byte) error {
	message := binary.BigEndian.AppendUint32(kind, uint32(len(body)+4))
	_, err := to.Write(append(message, body...))
	return err
}

// Reads up to ReadyForQuery; returns the values of the last DataRow.
func untilReady(from io.Reader) ([]string, error) {
	var row []string
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(from, head); err != nil {
			return nil, err
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(from, body); err != nil {
			return nil, err
		}
		switch head[0] {
		case 'Z':
			return row, nil
		case 'D':
			row = values(body[2:])
		case 'E':
			return nil, refusal(body)
		}
	}
}

func values(rest []byte) []string {
	var row []string
	for len(rest) > 0 {
		length := binary.BigEndian.Uint32(rest)
		row = append(row, string(rest[4:4+length]))
		rest = rest[4+length:]
	}
	return row
}

func refusal(body []byte) error {
	said := map[byte]string{}
	for _, field := range bytes.Split(body, []byte{0}) {
		if len(field) > 0 {
			said[field[0]] = string(field[1:])
		}
	}
	return fmt.Errorf("%s: %s", said['S'], said['M'])
}

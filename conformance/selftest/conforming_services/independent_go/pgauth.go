package main

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// authenticate answers one authentication message of the server.
func (c *pgConn) authenticate(config *pgConfig, body []byte, scram **scramClient) error {
	if len(body) < 4 {
		return errBadMessage
	}
	method, data := binary.BigEndian.Uint32(body), body[4:]
	switch method {
	case 0: // trusted, or done
		if *scram != nil && !(*scram).verified {
			return errors.New("postgres: the server did not prove itself")
		}
		return nil
	case 3: // password in clear text
		return c.send('p', append([]byte(config.password), 0))
	case 5: // MD5
		if len(data) < 4 {
			return errBadMessage
		}
		inner := fmt.Sprintf("%x", md5.Sum([]byte(config.password+config.user)))
		outer := md5.Sum(append([]byte(inner), data[:4]...))
		return c.send('p', fmt.Appendf(nil, "md5%x\x00", outer))
	case 10: // SASL
		if !slices.Contains(strings.Split(string(data), "\x00"), "SCRAM-SHA-256") {
			return errors.New("postgres: no common SASL mechanism")
		}
		*scram = newScramClient(config.password)
		first := (*scram).first()
		m := []byte("SCRAM-SHA-256\x00")
		m = binary.BigEndian.AppendUint32(m, uint32(len(first)))
		return c.send('p', append(m, first...))
	case 11: // SASL, the server's first message
		if *scram == nil {
			return errBadMessage
		}
		final, err := (*scram).final(string(data))
		if err != nil {
			return err
		}
		return c.send('p', []byte(final))
	case 12: // SASL, the server's final message
		if *scram == nil {
			return errBadMessage
		}
		return (*scram).verify(string(data))
	}
	return fmt.Errorf("postgres: unsupported authentication method %d", method)
}

// scramClient is the client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677),
// without channel binding. Passwords are taken as they are, without SASLprep.
type scramClient struct {
	password  string
	nonce     string
	signature []byte // which the server must prove that it can make
	verified  bool
}

func newScramClient(password string) *scramClient {
	var b [18]byte
	rand.Read(b[:]) // never fails
	return &scramClient{password: password, nonce: base64.StdEncoding.EncodeToString(b[:])}
}

func (s *scramClient) firstBare() string { return "n=,r=" + s.nonce }

func (s *scramClient) first() string { return "n,," + s.firstBare() }

func (s *scramClient) final(serverFirst string) (string, error) {
	var nonce, salt64, count string
	for _, attr := range strings.Split(serverFirst, ",") {
		switch {
		case strings.HasPrefix(attr, "r="):
			nonce = attr[2:]
		case strings.HasPrefix(attr, "s="):
			salt64 = attr[2:]
		case strings.HasPrefix(attr, "i="):
			count = attr[2:]
		}
	}
	salt, err := base64.StdEncoding.DecodeString(salt64)
	iterations, err2 := strconv.Atoi(count)
	isOurs := strings.HasPrefix(nonce, s.nonce) && nonce != s.nonce
	if err != nil || err2 != nil || iterations < 1 || !isOurs {
		return "", errors.New("postgres: bad SCRAM challenge")
	}
	salted, err := pbkdf2.Key(sha256.New, s.password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	withoutProof := "c=biws,r=" + nonce
	message := s.firstBare() + "," + serverFirst + "," + withoutProof
	clientKey := mac(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	proof := make([]byte, len(clientKey))
	subtle.XORBytes(proof, clientKey, mac(storedKey[:], message))
	s.signature = mac(mac(salted, "Server Key"), message)
	return withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

func (s *scramClient) verify(serverFinal string) error {
	verifier, _ := strings.CutPrefix(serverFinal, "v=")
	verifier, _, _ = strings.Cut(verifier, ",")
	signature, err := base64.StdEncoding.DecodeString(verifier)
	if err != nil || s.signature == nil || !hmac.Equal(signature, s.signature) {
		return errors.New("postgres: the server's SCRAM signature is wrong")
	}
	s.verified = true
	return nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

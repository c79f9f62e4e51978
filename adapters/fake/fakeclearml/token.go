package fakeclearml

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// claims are the payload of a session token.
type claims struct {
	Env           string         `json:"env"`
	AuthType      string         `json:"auth_type"`
	Identity      claimsIdentity `json:"identity"`
	IssuedAt      int64          `json:"iat"`
	Expires       *int64         `json:"exp,omitempty"`
	SessionID     string         `json:"session_id"`
	APIVersion    string         `json:"api_version"`
	ServerVersion string         `json:"server_version"`
	ServerBuild   string         `json:"server_build"`
	FeatureSet    string         `json:"feature_set"`
}

type claimsIdentity struct {
	Company     string `json:"company"`
	CompanyName string `json:"company_name"`
	User        string `json:"user"`
	UserName    string `json:"user_name"`
	Role        string `json:"role"`
}

const jwtHeader = `{"alg":"HS256","typ":"JWT"}`

// mint signs a token of the given life; users of role system get one that does
// not expire.
func (s *Server) mint(id identity, life time.Duration) (string, error) {
	now := s.now().Unix()
	c := claims{
		Env: "<unknown>", AuthType: "Bearer", IssuedAt: now, SessionID: newID(s.sessions),
		Identity: claimsIdentity{
			Company: s.cfg.CompanyID, CompanyName: s.cfg.CompanyName, User: id.user, UserName: id.name, Role: id.role,
		},
		APIVersion: s.cfg.APIVersion, ServerVersion: s.cfg.Version, FeatureSet: "basic",
	}
	if id.role != "system" {
		exp := now + int64(life/time.Second)
		c.Expires = &exp
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(jwtHeader)) + "." + enc.EncodeToString(payload)
	return signed + "." + enc.EncodeToString(s.sign(signed)), nil
}

func (s *Server) sign(text string) []byte {
	mac := hmac.New(sha256.New, s.signingKey)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// bearer verifies a token: form, signature, expiry, revocation; in this order.
func (s *Server) bearer(token string) (identity, error) {
	invalid := func(reason string) (identity, error) {
		return identity{}, errToken("invalid jwt token", reason)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return invalid("Not enough segments")
	}
	enc := base64.RawURLEncoding
	signature, err := enc.DecodeString(parts[2])
	if err != nil {
		return invalid("Invalid crypto padding")
	}
	header, err := enc.DecodeString(parts[0])
	if err != nil {
		return invalid("Invalid header padding")
	}
	if !bytes.Contains(header, []byte(`"HS256"`)) {
		return invalid("The specified alg value is not allowed")
	}
	if !hmac.Equal(signature, s.sign(parts[0]+"."+parts[1])) {
		return invalid("Signature verification failed")
	}
	payload, err := enc.DecodeString(parts[1])
	if err != nil {
		return invalid("Invalid payload padding")
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return invalid("Invalid payload string: " + err.Error())
	}
	if c.Expires != nil && *c.Expires <= s.now().Unix() {
		return invalid("Signature has expired")
	}
	if s.revoked[c.SessionID] {
		return identity{}, errToken("revoked token", "")
	}
	if s.users[c.Identity.User] == nil {
		return identity{}, errToken("invalid jwt token", "unknown user")
	}
	id := s.identityOf(c.Identity.User)
	id.session = c.SessionID
	return id, nil
}

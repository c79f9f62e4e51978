package fakeclearml

import (
	"time"
)

func (s *Server) registerAuth() {
	s.on("auth.login", "1.0", epLogin)
	s.on("auth.logout", "2.2", epLogout)
	s.on("auth.validate_token", "1.0", epValidateToken)
	s.on("auth.create_credentials", "1.0", epCreateCredentials)
	s.on("auth.get_credentials", "1.0", epGetCredentials)
	s.on("auth.revoke_credentials", "1.0", epRevokeCredentials)
	s.on("auth.edit_credentials", "2.19", epEditCredentials)
	s.addEndpoint("auth.fixed_users_mode", "1.0", endpoint{open: true, fn: func(*call) (map[string]any, error) {
		return map[string]any{"enabled": false, "guest": map[string]any{"enabled": false}, "server_errors": map[string]any{}}, nil
	}})
	s.addEndpoint("login.supported_modes", "1.0", endpoint{open: true, fn: epSupportedModes})
	s.addEndpoint("login.logout", "2.13", endpoint{fn: epLogout})
}

// epLogin answers a token for whoever the credentials or the token belong to.
func epLogin(c *call) (map[string]any, error) {
	life := defaultTokenLife
	sec, ok, err := c.p.integer("expiration_sec")
	if err != nil {
		return nil, err
	}
	if ok && sec != 0 {
		life = time.Duration(sec) * time.Second
	}
	token, err := c.s.mint(c.id, life)
	if err != nil {
		return nil, err
	}
	c.cookie = &token
	return map[string]any{"token": token}, nil
}

func epLogout(c *call) (map[string]any, error) {
	if c.id.session != "" {
		c.s.revoked[c.id.session] = true
	}
	none := ""
	c.cookie = &none
	return map[string]any{}, nil
}

func epValidateToken(c *call) (map[string]any, error) {
	token, err := c.p.required("token")
	if err != nil {
		return nil, err
	}
	id, err := c.s.bearer(token)
	answer := map[string]any{"valid": err == nil}
	if err == nil {
		answer["user"], answer["company"] = id.user, c.s.cfg.CompanyID
	} else {
		answer["msg"] = err.Error()
	}
	return answer, nil
}

func (c *call) refuseProtected() error {
	if c.s.users[c.id.user].protected {
		return fail(400, 301, "invalid user id", "protected identity")
	}
	return nil
}

func epCreateCredentials(c *call) (map[string]any, error) {
	if err := c.refuseProtected(); err != nil {
		return nil, err
	}
	label, err := c.p.text("label")
	if err != nil {
		return nil, err
	}
	key, secret := c.s.createCredentials(c.id.user, label)
	cred := map[string]any{"access_key": key, "secret_key": secret}
	if label != "" {
		cred["label"] = label
	}
	return map[string]any{"credentials": cred}, nil
}

// epGetCredentials: last_used is the one date without an offset.
func epGetCredentials(c *call) (map[string]any, error) {
	list := []any{}
	for _, key := range c.s.users[c.id.user].keys {
		cred := c.s.credentials[key]
		row := map[string]any{"access_key": key}
		if cred.label != "" {
			row["label"] = cred.label
		}
		if !cred.lastUsed.IsZero() {
			row["last_used"] = cred.lastUsed.UTC().Format("2006-01-02T15:04:05.000000")
			row["last_used_from"] = cred.lastUsedFrom
		}
		list = append(list, row)
	}
	return map[string]any{"credentials": list}, nil
}

// epRevokeCredentials leaves the tokens that the key has minted alone.
func epRevokeCredentials(c *call) (map[string]any, error) {
	if err := c.refuseProtected(); err != nil {
		return nil, err
	}
	key, err := c.p.required("access_key")
	if err != nil {
		return nil, err
	}
	if err := c.ownKey(key); err != nil {
		return nil, err
	}
	delete(c.s.credentials, key)
	a := c.s.users[c.id.user]
	kept := a.keys[:0]
	for _, k := range a.keys {
		if k != key {
			kept = append(kept, k)
		}
	}
	a.keys = kept
	return map[string]any{"revoked": 1}, nil
}

func (c *call) ownKey(key string) error {
	if cred := c.s.credentials[key]; cred == nil || cred.user != c.id.user {
		return fail(400, 75, "cannot find access key", "", kv{"access_key", key})
	}
	return nil
}

func epEditCredentials(c *call) (map[string]any, error) {
	key, err := c.p.required("access_key")
	if err != nil {
		return nil, err
	}
	if err := c.ownKey(key); err != nil {
		return nil, err
	}
	label, err := c.p.text("label")
	if err != nil {
		return nil, err
	}
	c.s.credentials[key].label = label
	return map[string]any{"updated": 1}, nil
}

func epSupportedModes(c *call) (map[string]any, error) {
	return map[string]any{
		"authenticated": c.id.user != "", "basic": map[string]any{"enabled": false, "guest": map[string]any{"enabled": false}},
		"server_errors": map[string]any{}, "sso": map[string]any{}, "sso_providers": []any{},
	}, nil
}

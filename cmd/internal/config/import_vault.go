package config

// vaultSection is auto_scaler.v1 of a configuration vault, nil when doc has none.
func vaultSection(doc *document) map[string]any {
	scaler, _ := doc.root["auto_scaler"].(map[string]any)
	section, _ := scaler["v1"].(map[string]any)
	if section == nil { // YAML and JSON do not split keys at dots
		section, _ = doc.root["auto_scaler.v1"].(map[string]any)
	}
	return section
}

// vaultExtra are the keys that only a vault has; the others are the autoscaler's.
func vaultExtra() map[string]mapped {
	return map[string]mapped{
		"access_key_id":     {"aws.access_key_id", asText},
		"secret_access_key": {"aws.secret_access_key", asText},
		"session_token":     {"aws.session_token", asText},
		"region":            {"aws.region", asText},
	}
}

// importVault reads auto_scaler.v1.aws, which holds credentials and scripts, no
// resources: the rest is for the operator to add.
func importVault(doc *document) (File, []Note, error) {
	t := newTranslator()
	section := vaultSection(doc)
	path := "auto_scaler.v1"
	for _, key := range doc.keysOf(path, section) {
		if key != "aws" {
			t.note(child(path, key), "", "not taken over: ebb launches on AWS only")
		}
	}
	aws, _ := section["aws"].(map[string]any)
	for _, key := range doc.keysOf(child(path, "aws"), aws) {
		s := setting{key: key, source: child(child(path, "aws"), key), value: aws[key]}
		if !t.take(t.autoscaler, own, s, vaultExtra()) {
			t.setting(doc, s)
		}
	}
	for _, key := range doc.keysOf("", doc.root) {
		if key != "auto_scaler" && key != "auto_scaler.v1" {
			t.note(key, "", "not taken over: it is a section of ClearML's client; write it in clearml_conf if the instances need it")
		}
	}
	scaler, _ := doc.root["auto_scaler"].(map[string]any)
	for _, key := range doc.keysOf("auto_scaler", scaler) {
		if key != "v1" {
			t.note(child("auto_scaler", key), "", "not taken over: only version v1 is known")
		}
	}
	return t.finish()
}

package fakeclearml

import "fmt"

func epQueueCreate(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	spec := QueueSpec{
		Name: r.required("name"), DisplayName: r.text("display_name"),
		Tags: r.strings("tags"), SystemTags: r.strings("system_tags"),
	}
	if r.err != nil {
		return nil, r.err
	}
	for _, key := range sortedKeys(asMap(c.p["metadata"])) {
		item, err := metadataItem(asMap(asMap(c.p["metadata"])[key]))
		if err != nil {
			return nil, err
		}
		spec.Metadata = append(spec.Metadata, item)
	}
	q, err := c.s.createQueue(spec)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": q.ID}, nil
}

// metadataItem wants all three of key, type and value.
func metadataItem(p params) (MetadataItem, error) {
	for _, name := range []string{"key", "type", "value"} {
		if p[name] == nil {
			return MetadataItem{}, errValidation(fmt.Sprintf(
				`error for field 'metadata': ("error for field '%s'.", validationerror('field is required!')).`, name))
		}
	}
	r := reader{p: p}
	m := MetadataItem{Key: r.text("key"), Type: r.text("type"), Value: r.text("value")}
	return m, r.err
}

func epQueueUpdate(c *call) (map[string]any, error) {
	id, err := c.p.required("queue")
	if err != nil {
		return nil, err
	}
	var u QueueUpdate
	for name, p := range map[string]**string{"name": &u.Name, "display_name": &u.DisplayName} {
		if c.p[name] == nil {
			continue
		}
		v, err := c.p.text(name)
		if err != nil {
			return nil, err
		}
		*p = &v
	}
	for name, p := range map[string]*[]string{"tags": &u.Tags, "system_tags": &u.SystemTags} {
		if c.p[name] == nil {
			continue
		}
		v, err := c.p.strings(name)
		if err != nil {
			return nil, err
		}
		*p = sortedTags(v)
	}
	if m, ok := c.p["metadata"].(map[string]any); ok {
		u.Metadata = map[string]MetadataItem{}
		for _, key := range sortedKeys(m) {
			item, err := metadataItem(asMap(m[key]))
			if err != nil {
				return nil, err
			}
			u.Metadata[item.Key] = item
		}
	}
	changed, err := c.s.updateQueue(id, u)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	doc := c.s.queueDoc(c.s.queues[id])
	for _, name := range changed {
		fields[name] = doc[name]
	}
	c.conformMetadata(fields)
	return map[string]any{"updated": min(1, len(changed)), "fields": fields}, nil
}

func epQueueDelete(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	id, force := r.required("queue"), r.boolean("force")
	if r.err != nil {
		return nil, r.err
	}
	if err := c.s.deleteQueue(c.id.user, id, force); err != nil {
		return nil, err
	}
	return map[string]any{"deleted": 1}, nil
}

func epQueueClear(c *call) (map[string]any, error) {
	id, err := c.p.required("queue")
	if err != nil {
		return nil, err
	}
	removed, err := c.s.clearQueue(c.id.user, id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"removed_tasks": removed}, nil
}

func epQueueSetMetadata(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	id, replace := r.required("queue"), r.boolean("replace_metadata")
	if r.err != nil {
		return nil, r.err
	}
	list, err := c.p.objects("metadata")
	if err != nil {
		return nil, err
	}
	if c.p["metadata"] == nil {
		return nil, errValidation("error for field 'metadata'. field is required!")
	}
	items := make([]MetadataItem, len(list))
	for i, p := range list {
		if items[i], err = metadataItem(p); err != nil {
			return nil, err
		}
	}
	if err := c.s.setMetadata(id, items, replace); err != nil {
		return nil, err
	}
	return map[string]any{"updated": 1}, nil
}

func epQueueDeleteMetadata(c *call) (map[string]any, error) {
	r := reader{p: c.p}
	id, keys := r.required("queue"), r.strings("keys")
	if r.err != nil {
		return nil, r.err
	}
	if c.p["keys"] == nil {
		return nil, errValidation("error for field 'keys'. field is required!")
	}
	if err := c.s.deleteMetadata(id, keys); err != nil {
		return nil, err
	}
	return map[string]any{"updated": 1}, nil
}

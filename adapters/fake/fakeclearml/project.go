package fakeclearml

import (
	"strings"
	"time"
)

type project struct {
	id, name, description, user string
	created, lastUpdate         time.Time
	tags, systemTags            []string
}

func (s *Server) projectByName(name string) *project {
	for _, id := range s.projectOrder {
		if s.projects[id].name == name {
			return s.projects[id]
		}
	}
	return nil
}

func (s *Server) createProject(user, name, description string, tags, systemTags []string) (*project, error) {
	name = strings.TrimSpace(name)
	if len([]rune(name)) < minTaskNameLen {
		return nil, errShortName()
	}
	if s.projectByName(name) != nil {
		return nil, errDuplicate()
	}
	now := milli(s.now())
	p := &project{
		id: newID(s.ids), name: name, description: description, user: user, created: now, lastUpdate: now,
		tags: sortedTags(tags), systemTags: sortedTags(systemTags),
	}
	s.projects[p.id] = p
	s.projectOrder = append(s.projectOrder, p.id)
	return p, nil
}

func (s *Server) touchProject(id string, now time.Time) {
	if p := s.projects[id]; p != nil {
		p.lastUpdate = milli(now)
	}
}

func (s *Server) projectDoc(p *project) map[string]any {
	base := p.name[strings.LastIndex(p.name, "/")+1:]
	return map[string]any{
		"id": p.id, "name": p.name, "basename": base, "description": p.description, "user": p.user,
		"company": s.cfg.CompanyID, "created": p.created, "last_update": p.lastUpdate, "tags": p.tags,
		"system_tags": p.systemTags, "path": []any{},
	}
}

// createModel keeps the few fields of a model that a task's run writes.
func (s *Server) createModel(user string, fields map[string]any) (map[string]any, error) {
	name, _ := fields["name"].(string)
	if len([]rune(name)) < minTaskNameLen {
		return nil, errShortName()
	}
	now := milli(s.now())
	doc := map[string]any{
		"id": newID(s.ids), "company": s.cfg.CompanyID, "user": user, "name": name, "created": now, "last_update": now,
		"uri": "", "tags": []string{}, "system_tags": []string{}, "ready": true, "labels": map[string]any{}, "metadata": map[string]any{},
	}
	setModelFields(doc, fields)
	id, _ := doc["id"].(string)
	s.models[id] = doc
	s.modelOrder = append(s.modelOrder, id)
	return doc, nil
}

// setModelFields applies what models.create and models.edit accept.
func setModelFields(doc, fields map[string]any) (changed map[string]any) {
	changed = map[string]any{}
	for _, k := range []string{"name", "uri", "framework", "comment", "task", "project", "parent", "ready", "labels", "design", "tags", "system_tags"} {
		v, ok := fields[k]
		if !ok || v == nil {
			continue
		}
		if k == "tags" || k == "system_tags" {
			v = sortedTags(asStrings(v))
		}
		doc[k], changed[k] = cloneValue(v), v
	}
	return changed
}

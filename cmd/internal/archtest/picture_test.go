package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestArchitecturePictureIsTheCode holds the diagram of docs/architecture.md to
// package actors: the same actors, and the same parents.
func TestArchitecturePictureIsTheCode(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```mermaid\n")
	picture, _, _ := strings.Cut(rest, "```")
	code := parents(t)
	drawn := map[string]string{}
	for _, arrow := range regexp.MustCompile(`(?m)^\s*(\w+)(?:\["[^"]*"\])? --> (\w+)`).FindAllStringSubmatch(picture, -1) {
		if _, known := code[arrow[2]]; known && arrow[1] != "control" {
			drawn[arrow[2]] = arrow[1]
		}
	}
	delete(code, "nodeActor") // the root has no parent
	if !maps.Equal(drawn, code) {
		t.Errorf("the picture has the parents %v\nthe code has %v", drawn, code)
	}
}

// parents are the types of actors, each with the type in whose methods one is made.
func parents(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../../actors/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	found := map[string]string{}
	var trees []*ast.File
	for _, path := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
		for _, f := range methods(tree) {
			if f.Name.Name == "Receive" {
				found[receiver(f)] = ""
			}
		}
	}
	for _, tree := range trees {
		for _, f := range methods(tree) {
			ast.Inspect(f.Body, func(n ast.Node) bool {
				literal, ok := n.(*ast.CompositeLit)
				if !ok {
					return true
				}
				if name, ok := literal.Type.(*ast.Ident); ok {
					if _, actor := found[name.Name]; actor {
						found[name.Name] = receiver(f)
					}
				}
				return true
			})
		}
	}
	if len(slices.Collect(maps.Keys(found))) < 8 {
		t.Fatalf("found only the actors %v", found)
	}
	return found
}

// methods are the functions of a file that have a receiver.
func methods(tree *ast.File) []*ast.FuncDecl {
	var all []*ast.FuncDecl
	for _, declared := range tree.Decls {
		if f, ok := declared.(*ast.FuncDecl); ok && f.Recv != nil && f.Body != nil {
			all = append(all, f)
		}
	}
	return all
}

func receiver(f *ast.FuncDecl) string {
	switch of := f.Recv.List[0].Type.(type) {
	case *ast.StarExpr:
		if name, ok := of.X.(*ast.Ident); ok {
			return name.Name
		}
	case *ast.Ident:
		return of.Name
	}
	return ""
}

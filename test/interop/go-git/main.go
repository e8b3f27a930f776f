// Clones as Flux does, with go-git: URL, ref ("" is HEAD), depth (0 is all), folder. Prints the commit and the ref of HEAD.
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
)

func main() {
	commit, ref, err := clone(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(commit, ref)
}

func clone(url, ref, depth, folder string) (plumbing.Hash, plumbing.ReferenceName, error) {
	options := &git.CloneOptions{URL: url, Tags: git.NoTags}
	options.Depth, _ = strconv.Atoi(depth)
	if ref != "" {
		options.SingleBranch = true
		options.ReferenceName = plumbing.ReferenceName(ref)
	}
	repository, err := git.PlainClone(folder, false, options)
	if err != nil {
		return plumbing.ZeroHash, "", err
	}
	head, err := repository.Head()
	if err != nil {
		return plumbing.ZeroHash, "", err
	}
	return head.Hash(), head.Name(), nil
}

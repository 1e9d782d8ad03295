package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// versionCmd is shelflife version.
type versionCmd struct{}

// Run prints the version.
func (*versionCmd) Run(p *process) error {
	_, err := fmt.Fprintln(p.stdout, version())
	return err
}

// completionCmd is shelflife completion.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help returns the details.
func (*completionCmd) Help() string {
	return `Prints what completes the commands and flags of shelflife in a shell.

bash, in ~/.bashrc: source <(shelflife completion bash)

zsh, in ~/.zshrc behind compinit: source <(shelflife completion zsh)

fish: shelflife completion fish > ~/.config/fish/completions/shelflife.fish`
}

// Run prints the script.
func (c *completionCmd) Run(p *process, parser *kong.Kong) error {
	write := map[string]func(io.Writer, *kong.Node){"bash": completeBash, "zsh": completeZsh, "fish": completeFish}
	var script strings.Builder
	write[c.Shell](&script, parser.Model.Node)
	_, err := io.WriteString(p.stdout, script.String())
	return err
}

// What the value of a flag, or an argument, can be.
const (
	anyValue    = "" // nothing to offer
	noValue     = "none"
	folderValue = "folder"
	fileValue   = "file"
)

// valueOf returns what the value of a flag can be, by how the help calls it.
func valueOf(f *kong.Flag) string {
	switch {
	case f.IsBool():
		return noValue
	case f.PlaceHolder == "DIR":
		return folderValue
	case f.PlaceHolder == "FILE":
		return fileValue
	}
	return anyValue
}

func enumOf(f *kong.Flag) string {
	if f.Enum == "" {
		return ""
	}
	return strings.Join(f.EnumSlice(), " ")
}

var unquotable = regexp.MustCompile("[\\[\\]'\"`$\\\\]")

// summary returns the first sentence of a help text, which can be quoted anywhere.
func summary(help string) string {
	first, _, _ := strings.Cut(help, ". ")
	first, _, _ = strings.Cut(first, ": ")
	return strings.TrimSuffix(unquotable.ReplaceAllString(strings.ReplaceAll(first, ":", " "), ""), ".")
}

// flagsOf returns the flags of a command, and of the commands in it, that are shown.
func flagsOf(n *kong.Node) (flags []*kong.Flag) {
	seen := map[string]bool{"version": true}
	for _, n := range append([]*kong.Node{n}, n.Children...) {
		for _, group := range n.AllFlags(true) {
			for _, f := range group {
				if !seen[f.Name] {
					seen[f.Name] = true
					flags = append(flags, f)
				}
			}
		}
	}
	return flags
}

// commandsIn are the names of the commands in a command, with spaces between.
func commandsIn(command *kong.Node) string {
	var names []string
	for _, c := range command.Children {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

// completeBash completes what stands behind a flag by that alone: flags of one name
// take the same values in all commands.
func completeBash(w io.Writer, app *kong.Node) {
	values := map[string][]string{}
	enums, order := map[string][]string{}, []string{}
	commands, perCommand := []string{"--help", "--version"}, ""
	for _, command := range app.Children {
		commands = append(commands, command.Name)
		var names []string
		for _, f := range flagsOf(command) {
			names = append(names, "--"+f.Name)
			if enum := enumOf(f); enum != "" {
				if enums[enum] == nil {
					order = append(order, enum)
				}
				enums[enum] = append(enums[enum], "--"+f.Name)
			} else if kind := valueOf(f); kind != noValue {
				values[kind] = append(values[kind], "--"+f.Name)
			}
		}
		perCommand += fmt.Sprintf("    %s) words=\"%s\" within=\"%s\" ;;\n", command.Name, strings.Join(names, " "), commandsIn(command))
	}
	fmt.Fprint(w, "_shelflife() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= within=\n  COMPREPLY=()\n  case $prev in\n")
	for _, enum := range order {
		fmt.Fprintf(w, "    %s) COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")); return ;;\n", either(enums[enum]), enum)
	}
	for _, kind := range []struct{ kind, reply string }{{folderValue, `COMPREPLY=($(compgen -d -- "$cur")); `}, {fileValue, `COMPREPLY=($(compgen -f -- "$cur")); `}, {anyValue, ""}} {
		fmt.Fprintf(w, "    %s) %sreturn ;;\n", either(values[kind.kind]), kind.reply)
	}
	fmt.Fprintf(w, "  esac\n  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    COMPREPLY=($(compgen -W \"%s\" -- \"$cur\"))\n    return\n  fi\n", strings.Join(commands, " "))
	fmt.Fprintf(w, "  case ${COMP_WORDS[1]} in\n    completion) COMPREPLY=($(compgen -W \"bash zsh fish --help\" -- \"$cur\")); return ;;\n%s  esac\n", perCommand)
	fmt.Fprint(w, "  case $cur in\n    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n")
	fmt.Fprint(w, "    *) if [ \"$COMP_CWORD\" -eq 2 ] && [ -n \"$within\" ]; then\n      COMPREPLY=($(compgen -W \"$within\" -- \"$cur\"))\n")
	fmt.Fprint(w, "    else\n      COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi ;;\n  esac\n}\ncomplete -o filenames -F _shelflife shelflife\n")
}

// either returns a pattern of bash for several words, each once.
func either(words []string) string {
	seen := map[string]bool{}
	var once []string
	for _, word := range words {
		if !seen[word] {
			seen[word] = true
			once = append(once, word)
		}
	}
	return strings.Join(once, "|")
}

func completeZsh(w io.Writer, app *kong.Node) {
	fmt.Fprint(w, "#compdef shelflife\n_shelflife() {\n  local -a commands=(\n")
	for _, command := range app.Children {
		fmt.Fprintf(w, "    '%s:%s'\n", command.Name, summary(command.Help))
	}
	fmt.Fprint(w, "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n")
	for _, command := range app.Children {
		fmt.Fprintf(w, "    %s) _arguments", command.Name)
		for _, f := range flagsOf(command) {
			value := ""
			switch kind := valueOf(f); {
			case enumOf(f) != "":
				value = ":value:(" + enumOf(f) + ")"
			case kind == folderValue:
				value = ":folder:_directories"
			case kind == fileValue:
				value = ":file:_files"
			case kind == anyValue:
				value = ":value:"
			}
			fmt.Fprintf(w, " \\\n      '--%s[%s]%s'", f.Name, summary(f.Help), value)
		}
		switch within := commandsIn(command); {
		case command.Name == "completion":
			fmt.Fprint(w, " \\\n      '1:shell:(bash zsh fish)'")
		case within != "":
			fmt.Fprintf(w, " \\\n      '1:command:(%s)'", within)
		default:
			fmt.Fprint(w, " \\\n      '*:file:_files'")
		}
		fmt.Fprint(w, " ;;\n")
	}
	fmt.Fprint(w, "  esac\n}\ncompdef _shelflife shelflife\n")
}

func completeFish(w io.Writer, app *kong.Node) {
	for _, command := range app.Children {
		fmt.Fprintf(w, "complete -c shelflife -n __fish_use_subcommand -f -a %s -d '%s'\n", command.Name, summary(command.Help))
		for _, f := range flagsOf(command) {
			value := ""
			switch kind := valueOf(f); {
			case enumOf(f) != "":
				value = " -x -a '" + enumOf(f) + "'"
			case kind == folderValue:
				value = " -x -a '(__fish_complete_directories)'"
			case kind == fileValue:
				value = " -r -F"
			case kind == anyValue:
				value = " -x"
			}
			fmt.Fprintf(w, "complete -c shelflife -n '__fish_seen_subcommand_from %s' -l %s%s -d '%s'\n", command.Name, f.Name, value, summary(f.Help))
		}
		within := commandsIn(command)
		for _, c := range command.Children {
			fmt.Fprintf(w, "complete -c shelflife -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from %s' -f -a %s -d '%s'\n", command.Name, within, c.Name, summary(c.Help))
		}
	}
	fmt.Fprint(w, "complete -c shelflife -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n")
}

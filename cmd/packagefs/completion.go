package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/packagefs/packagefs/cmd/packagefs/internal/cli"
)

// CompletionCmd prints completion scripts.
type CompletionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown below the flags.
func (*CompletionCmd) Help() string {
	return `Examples:
  packagefs completion bash > /usr/share/bash-completion/completions/packagefs
  packagefs completion zsh > /usr/share/zsh/vendor-completions/_packagefs
  packagefs completion fish > /usr/share/fish/vendor_completions.d/packagefs.fish`
}

func (c *CompletionCmd) Run(env *cli.Env) error {
	parser, err := newParser(new(CLI), io.Discard, io.Discard)
	if err != nil {
		return err
	}
	scripts := map[string]func(completions) string{
		"bash": completions.bash, "zsh": completions.zsh, "fish": completions.fish,
	}
	_, err = io.WriteString(env.Stdout, scripts[c.Shell](readCompletions(parser.Model.Node)))
	return err
}

// completions is what the scripts need of the command line.
type completions struct {
	commands []completeCommand
	global   []completeFlag
}

type completeCommand struct {
	name, help string
	flags      []completeFlag
	words      []string // that the first argument can be
	files      bool     // arguments are files of this machine
}

type completeFlag struct {
	name, short, help string
	value             bool     // it takes one
	words             []string // that the value can be
}

func readCompletions(model *kong.Node) completions {
	c := completions{global: readFlags(model)}
	for _, n := range model.Children {
		if n.Type != kong.CommandNode || n.Hidden {
			continue
		}
		cmd := completeCommand{name: n.Name, help: short(n.Help), flags: readFlags(n)}
		for _, sub := range n.Children {
			cmd.words = append(cmd.words, sub.Name)
		}
		for _, p := range n.Positional {
			if p.Enum != "" {
				cmd.words = strings.Split(p.Enum, ",")
			}
			cmd.files = cmd.files || p.Tag.Type == "path"
		}
		c.commands = append(c.commands, cmd)
	}
	return c
}

func readFlags(n *kong.Node) (flags []completeFlag) {
	for _, f := range n.Flags {
		if f.Hidden {
			continue
		}
		flag := completeFlag{name: f.Name, help: short(f.Help), value: !f.IsBool()}
		if f.Short != 0 {
			flag.short = string(f.Short)
		}
		if f.Enum != "" {
			flag.words = strings.Split(f.Enum, ",")
		}
		flags = append(flags, flag)
	}
	return flags
}

// short gives the first sentence of a help text, without quotes, which the
// shells would have to be protected from.
func short(help string) string {
	for i, r := range help {
		if (r == '.' || r == ';' || r == ':') && (i+1 == len(help) || help[i+1] == ' ') {
			help = help[:i]
			break
		}
	}
	return strings.NewReplacer(`'`, "", `"`, "", `$`, "", "`", "", `\`, "", "[", "(", "]", ")").Replace(help)
}

// words gives what can be typed for flags.
func flagWords(flags []completeFlag) (out []string) {
	for _, f := range flags {
		out = append(out, "--"+f.name)
		if f.short != "" {
			out = append(out, "-"+f.short)
		}
	}
	return out
}

func (c completions) bash() string {
	var b strings.Builder
	b.WriteString(`# bash completion for packagefs
_packagefs() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd= skip= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ $skip ]]; then skip=; continue; fi
        case ${COMP_WORDS[i]} in
`)
	fmt.Fprintf(&b, "            %s) skip=1 ;;\n            -*) ;;\n            *) cmd=${COMP_WORDS[i]}; break ;;\n        esac\n    done\n",
		strings.Join(valueFlags(c.global), "|"))
	names := make([]string, len(c.commands))
	for i, cmd := range c.commands {
		names[i] = cmd.name
	}
	b.WriteString("    local words= files=\n    case $cmd in\n")
	fmt.Fprintf(&b, "        '') words='%s' ;;\n", strings.Join(append(names, flagWords(c.global)...), " "))
	for _, cmd := range c.commands {
		words := append(append(cmd.words, flagWords(cmd.flags)...), flagWords(c.global)...)
		files := ""
		if cmd.files {
			files = " files=1"
		}
		fmt.Fprintf(&b, "        %s) words='%s'%s\n", cmd.name, strings.Join(words, " "), files)
		b.WriteString("            case $prev in\n")
		for _, f := range cmd.flags {
			if f.value {
				files := " files="
				if len(f.words) == 0 {
					files = " files=1"
				}
				fmt.Fprintf(&b, "                %s) words='%s'%s ;;\n",
					strings.Join(valueFlags([]completeFlag{f}), "|"), strings.Join(f.words, " "), files)
			}
		}
		b.WriteString("            esac ;;\n")
	}
	b.WriteString(`    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ $files ]]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _packagefs packagefs
`)
	return b.String()
}

// valueFlags gives the spellings of those flags that are followed by a value.
func valueFlags(flags []completeFlag) (out []string) {
	for _, f := range flags {
		if f.value {
			out = append(out, flagWords([]completeFlag{f})...)
		}
	}
	return out
}

func (c completions) zsh() string {
	var b strings.Builder
	b.WriteString("#compdef packagefs\n\n_packagefs() {\n    local curcontext=$curcontext state line\n    _arguments -C \\\n")
	b.WriteString(zshFlags(c.global))
	b.WriteString("        '1:command:->command' '*::argument:->argument'\n    case $state in\n    command)\n        local -a commands=(\n")
	for _, cmd := range c.commands {
		fmt.Fprintf(&b, "            '%s:%s'\n", cmd.name, cmd.help)
	}
	b.WriteString("        )\n        _describe command commands ;;\n    argument)\n        case $line[1] in\n")
	for _, cmd := range c.commands {
		arg := "'*:argument: '"
		switch {
		case len(cmd.words) > 0:
			arg = fmt.Sprintf("'1:argument:(%s)'", strings.Join(cmd.words, " "))
		case cmd.files:
			arg = "'*:file:_files'"
		}
		fmt.Fprintf(&b, "        %s) _arguments \\\n%s%s            %s ;;\n", cmd.name, zshFlags(cmd.flags), zshFlags(c.global), arg)
	}
	b.WriteString("        esac ;;\n    esac\n}\n\n_packagefs \"$@\"\n")
	return b.String()
}

func zshFlags(flags []completeFlag) string {
	var b strings.Builder
	for _, f := range flags {
		value := ""
		if f.value {
			value = ":" + f.name + ":_files"
			if len(f.words) > 0 {
				value = ":" + f.name + ":(" + strings.Join(f.words, " ") + ")"
			}
		}
		for _, w := range flagWords([]completeFlag{f}) {
			fmt.Fprintf(&b, "            '%s[%s]%s' \\\n", w, strings.ReplaceAll(f.help, ":", " "), value)
		}
	}
	return b.String()
}

func (c completions) fish() string {
	var b strings.Builder
	b.WriteString("# fish completion for packagefs\ncomplete -c packagefs -f\n")
	flags := func(condition string, flags []completeFlag) {
		for _, f := range flags {
			b.WriteString("complete -c packagefs" + condition + " -l " + f.name)
			if f.short != "" {
				b.WriteString(" -s " + f.short)
			}
			switch {
			case len(f.words) > 0:
				fmt.Fprintf(&b, " -x -a '%s'", strings.Join(f.words, " "))
			case f.value:
				b.WriteString(" -r -F")
			}
			fmt.Fprintf(&b, " -d '%s'\n", f.help)
		}
	}
	flags("", c.global)
	for _, cmd := range c.commands {
		fmt.Fprintf(&b, "complete -c packagefs -n __fish_use_subcommand -a %s -d '%s'\n", cmd.name, cmd.help)
		condition := fmt.Sprintf(" -n '__fish_seen_subcommand_from %s'", cmd.name)
		flags(condition, cmd.flags)
		if len(cmd.words) > 0 {
			fmt.Fprintf(&b, "complete -c packagefs%s -a '%s'\n", condition, strings.Join(cmd.words, " "))
		}
		if cmd.files {
			fmt.Fprintf(&b, "complete -c packagefs%s -F\n", condition)
		}
	}
	return b.String()
}

# bash completion for runbookctl. The candidates come from the program itself, which has them from the tables that its parsing uses.

_runbookctl() {
        local IFS=$'\n' line word= words=() i
        COMPREPLY=()

        # bash splits words at "=" and ":"; here they are put together again.
        for ((i = 1; i <= COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]}
                if [[ ($word == [=:]* || ${COMP_WORDS[i - 1]} == *[=:]) && ${#words[@]} -gt 0 && i -gt 1 ]]; then
                        words[${#words[@]} - 1]+=$word
                else
                        words+=("$word")
                fi
        done
        [[ ${#words[@]} -gt 0 ]] || words=("")
        word=${words[${#words[@]} - 1]}

        for line in $("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null); do
                if [[ $line == $'\tfiles' ]]; then
                        COMPREPLY+=($(compgen -f -- "${word#*=}"))
                        compopt -o filenames
                        continue
                fi
                line=${line%%$'\t'*}
                # What stands before the last "=" or ":" is on the command line already.
                [[ $word == *[=:]* ]] && line=${line#"${word%"${word##*[=:]}"}"}
                COMPREPLY+=("$line")
        done
        [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
        return 0
}

complete -F _runbookctl runbookctl

/* What the shell scanner (shell-scan.c) knows of the simple command that it is in, word by word: which words a shell would execute or
 * compute again, so that a value in them would not be only a string. For shell-*.c only. */
#pragma once

#include "macros.h"

#define WORD_TEXT_MAX 64u /* of a word's constant text that is kept; a longer one is no name that matters */
#define WORD_LEAD_NONE 0
#define WORD_LEAD_UNKNOWN (-1) /* begins with an expansion or an expression */

typedef struct Word {
        bool started, quoted; /* quoted: some of it is */
        bool dynamic;         /* some of it is an expansion or an expression */
        bool expression;
        bool list; /* has "$@" or "${…@…}", which may become no word or several, also in quotes */
        bool too_long;
        char text[WORD_TEXT_MAX]; /* constant parts, quotes removed */
        size_t n;
        size_t base;          /* of text: after the last slash */
        bool base_dynamic;    /* something unknown stands after that slash */
        int lead, value_lead; /* first character, and first after the '=': a WORD_LEAD_… or the character */
        bool equals;          /* has a '=' */
        bool assignment;      /* NAME=, NAME+= or NAME[…]=, unquoted */
        bool subscript;       /* NAME[…] */
        bool name_dynamic;    /* something unknown before the '=' */
        bool array;           /* NAME=( … ) */
        size_t name_n;        /* of text, before the '=' (and '+') or the '[' */
} Word;

typedef enum Phase {
        PHASE_START, /* the command's own word comes */
        PHASE_ARGUMENTS,
        PHASE_PREFIX, /* after command, builtin, time: options, then as START */
        PHASE_MAYBE,  /* after an expansion that may vanish: the next word may be the command's */
        PHASE_FOR_NAME,
        PHASE_FOR_IN,
        PHASE_CASE_WORD,
        PHASE_CASE_IN,
        PHASE_PATTERN, /* in case: up to the ')' */
        PHASE_FUNCTION_NAME,
} Phase;

typedef enum Redirect {
        REDIRECT_NONE,
        REDIRECT_FILE,
        REDIRECT_DUPLICATE /* >& and <& */,
        REDIRECT_HERE_STRING,
        REDIRECT_HEREDOC,
        REDIRECT_HEREDOC_TABS
} Redirect;

/* What a command does with its words. */
typedef enum CommandRule {
        RULE_NONE,
        RULE_EVAL,
        RULE_TRAP,
        RULE_ALIAS,
        RULE_ARITHMETIC,
        RULE_NAMES,
        RULE_DECLARE,
        RULE_EXPORT,
        RULE_TEST,
        RULE_PRINTF,
        RULE_WAIT,
        RULE_SOURCE,
        RULE_FOR,
} CommandRule;

/* Where in the words of a shell (sh -c …) we are. */
typedef enum ShellCall {
        SHELL_CALL_NONE,
        SHELL_CALL_OPTIONS, /* after its name */
        SHELL_CALL_WEAK,    /* perhaps a shell: only a plain -c counts */
        SHELL_CALL_PERMUTE, /* su: -c may stand anywhere */
        SHELL_CALL_DOUBT,   /* an expression stood where an option may: it may have been -c */
        SHELL_CALL_STRING,  /* the next word that is no option is a command string */
        SHELL_CALL_DONE,
} ShellCall;

typedef struct Command {
        Phase phase;
        Redirect redirect; /* what the next word is for */
        CommandRule rule;
        ShellCall shell;
        bool shell_stdin; /* it reads commands from its standard input */
        bool prints;      /* echo, printf: its words are its output */
        bool shell_s;     /* and it has -s */
        bool shell_skip;  /* the next word is the argument of its option */
        bool risky_value; /* declare -i, -n: a value is computed */
        bool array_value; /* declare -a, -A */
        bool unknown_option;
        bool name_next;    /* the next word names a variable (printf -v) */
        bool maybe_option; /* the word before may be an option that makes the next a name */
        bool settled;      /* no options come any more */
        bool split;        /* after &>, where shells differ about what a further word is */
        bool pattern_first;
        bool evaluated_name; /* for NAME: a variable that the shell evaluates */
} Command;

/* What the whole text does to variables, found before scanning, without regard to quoting. */
typedef struct ShellAttributes {
        bool computed; /* somewhere a variable is made an integer or a name reference */
        bool arrays;
} ShellAttributes;

typedef enum WordEnd {
        WORD_PLAIN,
        WORD_CASE /* "in" after case WORD */,
        WORD_ESAC,
        WORD_COND /* [[ */,
        WORD_DOUBT,
} WordEnd;

void word_append(Word *w, char c, bool quoted);
void word_unknown(Word *w, bool expression);      /* an expansion or an expression is part of it */
bool word_is(const Word *w, const char *s);       /* exactly s, quotes removed */
bool word_is_plain(const Word *w, const char *s); /* and without quotes: reserved words */
bool word_is_io_number(const Word *w);
bool word_may_begin_subscript(const Command *c, const Word *w);

ShellAttributes shell_attributes(const char *text, size_t n);
/* Why an expression may not stand in the current word: translated; NULL: it may. in_process: it stands in a <( … ) of the word. */
const char *word_refusal(const Command *c, const Word *w, bool in_process, const ShellAttributes *a);
/* The word is complete and is not a redirection's. in_case: `esac` ends something here. */
WordEnd command_word(Command *c, const Word *w, bool in_case);

/* Steps and what they do. One table says which handlers there are, what they are called and how their `with` is read; `run` and `approval` are
 * short for two of them. An activity that says what it does without `steps` comes through here too, with one step. */
#include "i18n.h"
#include "runbook-parse.h"

#include "fd-util.h"

static const Field hooks_fields[] = {
        FIELD_CHECKED("pre", field_list),
        FIELD_CHECKED("onSuccess", field_list),
        FIELD_CHECKED("onFailure", field_list),
        FIELD_CHECKED("post", field_list),
};
DEFINE_FIELD_TABLE(hooks_table, "hooks", N_("\"hooks\""), hooks_fields);

typedef struct ShellDraft {
        const Node *command, *env;
        char *shell;
        bool throw_on_error;
        usec_t timeout;
} ShellDraft;

static const Field shell_fields[] = {
        FIELD("command", field_any, ShellDraft, command, .required = true),
        FIELD("shell", field_shell, ShellDraft, shell),
        FIELD("timeout", field_timespan, ShellDraft, timeout, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD("timeoutMs", field_milliseconds, ShellDraft, timeout, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD("throwOnError", field_bool, ShellDraft, throw_on_error),
        FIELD("env", field_map, ShellDraft, env),
};
DEFINE_FIELD_TABLE(shell_table, "shell", N_("\"with\" of builtin:shell"), shell_fields);

typedef struct ExecDraft {
        const Node *argv;
} ExecDraft;

static const Field exec_fields[] = {
        FIELD("argv", field_list, ExecDraft, argv, .required = true),
};
DEFINE_FIELD_TABLE(exec_table, "exec", N_("\"with\" of builtin:exec"), exec_fields);

typedef struct StepDraft {
        StepDef def;
        Action action;
        const Node *condition, *env;
} StepDraft;

#define ID_FORM N_("a name: a letter or digit, then at most 63 letters, digits, \".\", \"_\" and \"-\"")

static const Field step_fields[] = {
        FIELD("name", field_string, StepDraft, def.name, .valid = step_name_is_valid,
              .form = N_("a name of at most 256 bytes in one line")),
        FIELD("id", field_string, StepDraft, def.id, .valid = object_name_is_valid, .form = ID_FORM),
        FIELD("if", field_any, StepDraft, condition),
        FIELD("run", field_any, StepDraft, action.run, .group = GROUP_ACTION),
        FIELD("uses", field_string_node, StepDraft, action.uses, .group = GROUP_ACTION),
        FIELD("with", field_map, StepDraft, action.with),
        FIELD("env", field_map, StepDraft, env),
        FIELD("timeout", field_timespan, StepDraft, def.timeout, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD("timeoutMs", field_milliseconds, StepDraft, def.timeout, .group = GROUP_TIMEOUT, .max = ACTIVITY_TIMEOUT_MAX),
        FIELD("continueOnError", field_bool, StepDraft, def.continue_on_error),
};
DEFINE_FIELD_TABLE(step_table, "step", N_("a step"), step_fields);

/* A path, or the name of one of the shells whose quoting is known. */
int field_shell(Reader *r, const Field *f, const Node *node, void *target) {
        int k = expect_type(r, node, NODE_STRING);
        char *path;

        if (k < 0)
                return k;
        if (strlen(node->string) > SHELL_PATH_MAX)
                return node_error(r, node, _("the path of the shell is longer than %u bytes"), SHELL_PATH_MAX);
        if (node->string[0] != '/' && (strchr(node->string, '/') || shell_kind_from_path(node->string) == _SHELL_INVALID))
                return node_error(r, node, _("\"%s\" is not a shell: write its absolute path, or sh, dash or bash"), node->string);
        path = node->string[0] == '/' ? strdup(node->string) : path_join("/bin", node->string);
        if (!path)
                return -ENOMEM;
        free(*(char **) target);
        *(char **) target = path;
        return 0;
}

static int shell_fill(Parser *p, const Node *command, const char *shell, StepDef *s) {
        const char *path = shell ? shell : p->defaults.shell ? p->defaults.shell : "/bin/sh";

        s->kind = STEP_SHELL;
        s->shell.shell = strdup(path);
        if (!s->shell.shell)
                return -ENOMEM;
        if (command->type != NODE_STRING)
                return node_error(&p->r, command, _("\"%s\" must be %s, not %s"), node_label(command), node_type_name(NODE_STRING),
                                  node_type_name(command->type));
        if (command->string[strspn(command->string, " \t\r\n")] == 0)
                return node_error(&p->r, command, _("\"%s\" is empty: write the command"), node_label(command));
        return shell_template_compile(p->r.tree, command, shell_kind_from_path(path), p->r.d, &s->shell.command);
}

/* The handler's own environment is the nearest of all; what stands in both places would be a guess. */
static int add_env(Parser *p, const Node *env, StepDef *s) {
        _cleanup_(hashmap_freep) Hashmap *names = hashmap_new();
        size_t before = s->n_env;
        int k = names ? env_parse(p, env, &s->env, &s->n_env) : -ENOMEM;

        for (size_t i = 0; i < s->n_env && k >= 0; i++) {
                k = hashmap_put(names, s->env[i].name, s);
                if (k == -EEXIST)
                        k = node_key_error(&p->r, env->children[i - before],
                                           _("\"%s\" stands in both environments of this step: keep one of them"), s->env[i].name);
        }
        return k;
}

static int read_shell(Parser *p, const Node *uses, const Node *with, StepDef *s) {
        ShellDraft d = { .timeout = SHELL_TIMEOUT_DEFAULT };
        int k = fields_read(&p->r, &shell_table, with, &d), f = 0;

        s->shell.throw_on_error = d.throw_on_error;
        s->handler_timeout = d.timeout;
        if (k != -ENOMEM && d.command)
                f = shell_fill(p, d.command, d.shell, s);
        free(d.shell);
        if (k == -ENOMEM || f < 0)
                return k == -ENOMEM ? k : f;
        f = d.env ? add_env(p, d.env, s) : 0;
        return f < 0 ? f : k;
}

static int exec_fill(Parser *p, const Node *argv, StepDef *s) {
        int result = 0, k;

        if (argv->n_children == 0 || (argv->children[0]->type == NODE_STRING && isempty(argv->children[0]->string)))
                return node_error(&p->r, argv, _("\"argv\" needs at least the program"));
        s->exec.argv = calloc(argv->n_children, sizeof(Template *));
        if (!s->exec.argv)
                return -ENOMEM;
        s->exec.n_argv = argv->n_children;
        for (size_t i = 0; i < argv->n_children; i++) {
                k = text_template_parse(p, argv->children[i], s->exec.argv + i);
                if (k == -ENOMEM)
                        return k;
                result = k < 0 ? k : result;
        }
        return result;
}

static int read_exec(Parser *p, const Node *uses, const Node *with, StepDef *s) {
        ExecDraft d = {};
        int k = fields_read(&p->r, &exec_table, with, &d), f = 0;

        s->kind = STEP_EXEC;
        if (k != -ENOMEM && d.argv)
                f = exec_fill(p, d.argv, s);
        return f < 0 ? f : k;
}

static int read_approval(Parser *p, const Node *uses, const Node *with, StepDef *s) {
        s->kind = STEP_APPROVAL;
        return request_parse(p, with, &s->request);
}

static int read_input(Parser *p, const Node *uses, const Node *with, StepDef *s) {
        s->kind = STEP_INPUT;
        return request_parse(p, with, &s->request);
}

static int read_gate(Parser *p, const Node *uses, const Node *with, StepDef *s) {
        s->kind = STEP_GATE;
        return gate_parse(p, with, &s->gate);
}

typedef struct Handler {
        const char *name;
        bool is_prefix;
        bool needs_with;
        Feature feature;
        int (*read)(Parser *p, const Node *uses, const Node *with, StepDef *s);
        int (*check)(Parser *p, const Node *uses, const Node *with); /* of what can't run yet: read and refused */
} Handler;

static const Handler handlers[] = {
        { .name = "builtin:shell", .needs_with = true, .read = read_shell },
        { .name = "builtin:exec", .needs_with = true, .read = read_exec },
        { .name = "builtin:approval", .read = read_approval },
        { .name = "builtin:input", .needs_with = true, .read = read_input },
        { .name = "builtin:gate", .needs_with = true, .read = read_gate },
        { .name = "builtin:wait", .needs_with = true, .feature = FEATURE_WAIT, .check = handler_check_wait },
        { .name = "builtin:http", .needs_with = true, .feature = FEATURE_HTTP, .check = handler_check_http },
        { .name = "runbook:", .is_prefix = true, .feature = FEATURE_RUNBOOK, .check = handler_check_runbook },
        { .name = "plugin:", .is_prefix = true, .feature = FEATURE_PLUGIN, .check = handler_check_plugin },
};

static const Handler *find_handler(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(handlers); i++)
                if (handlers[i].is_prefix ? startswith(name, handlers[i].name) != NULL : streq(name, handlers[i].name))
                        return handlers + i;
        return NULL;
}

static int unknown_handler(Parser *p, const Node *uses) {
        const char *names[ELEMENTSOF(handlers) + 1] = {};
        _cleanup_free_ char *hint = NULL;

        for (size_t i = 0; i < ELEMENTSOF(handlers); i++)
                names[i] = handlers[i].name;
        hint = did_you_mean(p->r.d, uses->string, names);
        return hint ? node_error(&p->r, uses, _("there is no handler \"%s\"%s"), uses->string, hint) : -ENOMEM;
}

static int uses_parse(Parser *p, const Node *uses, const Node *with, StepDef *s) {
        static const Node nothing = { .type = NODE_MAP };
        Node empty = nothing;
        const Handler *h = find_handler(uses->string);
        int k;

        if (!h)
                return unknown_handler(p, uses);
        if (!with && h->needs_with)
                return node_error(&p->r, uses, _("\"%s\" needs \"with\""), uses->string);
        empty.line = uses->line;
        empty.column = uses->column;
        k = h->read ? h->read(p, uses, with ? with : &empty, s) : h->check(p, uses, with ? with : &empty);
        if (k >= 0)
                (void) feature_check(h->feature, uses, p->r.d);
        return k;
}

int action_parse(Parser *p, const Node *place, const Action *a, StepDef *s) {
        s->handler_timeout = USEC_INFINITY;
        if (a->with && !a->uses)
                return node_key_error(&p->r, a->with, _("\"with\" stands beside \"uses\" only"));
        if (!a->with && node_get(place, "with"))
                return -EINVAL;                         /* something was wrong with it, which is said already */
        if (a->run) {
                s->shell.throw_on_error = true;
                return shell_fill(p, a->run, NULL, s);
        }
        if (a->uses)
                return uses_parse(p, a->uses, a->with, s);
        if (a->approval)
                return read_approval(p, NULL, a->approval, s);
        if (a->input)
                return read_input(p, NULL, a->input, s);
        return node_error(&p->r, place, _("a step needs \"run\" or \"uses\""));
}

/* A written id, else the name where it can be one, else its number; steps of hooks are told apart by their list. */
static int set_id(StepDef *s) {
        if (s->id)
                return 0;
        if (s->list == LIST_MAIN && s->name && object_name_is_valid(s->name))
                s->id = strdup(s->name);
        else if (s->list == LIST_MAIN)
                s->id = xasprintf("step-%u", s->number);
        else
                s->id = xasprintf("%s:%u", step_list_to_string(s->list), s->number);
        return s->id ? 0 : -ENOMEM;
}

static int step_parse(Parser *p, const Node *node, StepDef *s) {
        StepDraft d = { .def = *s };
        int result, k;

        d.def.timeout = USEC_INFINITY;
        result = fields_read(&p->r, &step_table, node, &d);
        *s = d.def;
        k = result == -ENOMEM ? result : set_id(s);
        if (k < 0)
                return k;
        k = d.condition ? condition_parse(p, d.condition, &s->condition) : 0;
        if (k == -ENOMEM)
                return k;
        result = k < 0 ? k : result;
        k = d.env ? env_parse(p, d.env, &s->env, &s->n_env) : 0;
        if (k == -ENOMEM)
                return k;
        result = k < 0 ? k : result;
        /* What does not even have the right keys gets no second message about what is missing or too much. */
        if (result < 0 && !d.action.uses)
                d.action.with = NULL;
        if (node->type == NODE_MAP && (result >= 0 || d.action.run || d.action.uses))
                k = action_parse(p, node, &d.action, s);
        return k < 0 ? k : result;
}

int steps_parse(Parser *p, const Node *list, StepList which, StepDef *steps) {
        int result = 0, k;

        for (size_t i = 0; i < list->n_children; i++) {
                StepDef *s = steps + i;

                s->list = which;
                s->number = (unsigned) i + 1;
                s->line = list->children[i]->line;
                s->column = list->children[i]->column;
                k = step_parse(p, list->children[i], s);
                if (k == -ENOMEM)
                        return k;
                result = k < 0 ? k : result;
        }
        return result;
}

/* The JSON Schema that ships and the tables of the parser say the same: every key of every object, required keys, the names of enums, and the
 * bounds of numbers. What is not in a table (how keys exclude each other) the schema says by itself. */
#include "test.h"

#include <fcntl.h>

#include "fd-util.h"
#include "inputs-parse.h"
#include "runbook-parse.h"

static Json *schema;

static int load(void **state) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (read_file(AT_FDCWD, SCHEMA, TREE_FILE_MAX, false, &text, &size) < 0)
                return -1;
        return json_parse(text, size, &schema);
}

static int unload(void **state) {
        schema = json_unref(schema);
        return 0;
}

static const FieldTable *find_table(const char *name) {
        for (const FieldTable *const *t = runbook_field_tables; *t; t++)
                if (streq((*t)->name, name))
                        return *t;
        return NULL;
}

static Json *object_of(const FieldTable *t) {
        return t == &runbook_table ? schema : json_get(json_get(schema, "$defs"), t->name);
}

/* A value's own schema, behind one reference. */
static Json *resolve(Json *j) {
        const char *ref = json_string(json_get(j, "$ref")), *name = ref ? startswith(ref, "#/$defs/") : NULL;

        return name ? json_get(json_get(schema, "$defs"), name) : j;
}

static bool array_has(const Json *array, const char *s) {
        for (size_t i = 0; i < json_length(array); i++)
                if (streq_ptr(json_string(json_at(array, i)), s))
                        return true;
        return false;
}

static void test_keys(void **state) {
        unsigned n = 0;

        for (const FieldTable *const *t = runbook_field_tables; *t; t++, n++) {
                const Json *object = object_of(*t), *properties = json_get(object, "properties");
                if (json_length(properties) != (*t)->n_fields)
                        fail_msg("%s: %zu keys in the schema, %zu in the parser", (*t)->name, json_length(properties), (*t)->n_fields);
                for (size_t i = 0; i < (*t)->n_fields; i++)
                        if (!json_has(properties, (*t)->fields[i].key))
                                fail_msg("%s: the schema has no \"%s\"", (*t)->name, (*t)->fields[i].key);
                assert_false(json_bool(json_get(object, "additionalProperties")));
                assert_true(json_has(object, "additionalProperties"));
                assert_non_null(json_string(json_get(object, "description")));
        }
        assert_int_equal(n, 19);
}

/* Every definition of an object with fixed keys is a table of the parser. */
static void test_definitions(void **state) {
        const Json *defs = json_get(schema, "$defs");

        JSON_OBJECT_FOREACH(defs, name, def) {
                if (json_has(def, "properties") && !find_table(name))
                        fail_msg("the parser has no table \"%s\"", name);
        }
}

static void test_required(void **state) {
        for (const FieldTable *const *t = runbook_field_tables; *t; t++) {
                const Json *required = json_get(object_of(*t), "required");
                size_t n = 0;
                for (size_t i = 0; i < (*t)->n_fields; i++)
                        if ((*t)->fields[i].required) {
                                n++;
                                if (!array_has(required, (*t)->fields[i].key))
                                        fail_msg("%s: \"%s\" is not required by the schema", (*t)->name, (*t)->fields[i].key);
                        }
                assert_int_equal(json_length(required), n);
        }
}

static void check_enum(const FieldTable *t, const Field *f, const Json *values) {
        size_t n = 0;

        for (; f->names[n]; n++)
                if (!array_has(values, f->names[n]))
                        fail_msg("%s.%s: the schema has no \"%s\"", t->name, f->key, f->names[n]);
        assert_int_equal(json_length(values), n);
}

static uint64_t bound_of(const Field *f, uint64_t bound) {
        return f->read == field_milliseconds ? bound / USEC_PER_MSEC : bound;
}

static void check_bounds(const FieldTable *t, const Field *f, const Json *value) {
        const Json *maximum = json_get(value, "maximum"), *minimum = json_get(value, "minimum");
        uint64_t least = bound_of(f, f->min);

        if (f->read == field_milliseconds)
                least = MAX(least, (uint64_t) 1);
        if ((f->max > 0) != json_has(value, "maximum") || (f->max > 0 && (uint64_t) json_int(maximum) != bound_of(f, f->max)))
                fail_msg("%s.%s: another maximum in the schema", t->name, f->key);
        if (!json_has(value, "minimum") || (uint64_t) json_int(minimum) != least)
                fail_msg("%s.%s: another minimum in the schema", t->name, f->key);
}

static void test_values(void **state) {
        for (const FieldTable *const *t = runbook_field_tables; *t; t++)
                for (size_t i = 0; i < (*t)->n_fields; i++) {
                        const Field *f = (*t)->fields + i;
                        const Json *value = resolve(json_get(json_get(object_of(*t), "properties"), f->key));

                        if (f->read == field_enum)
                                check_enum(*t, f, json_get(value, "enum"));
                        else if (f->read == field_milliseconds || f->read == field_unsigned)
                                check_bounds(*t, f, value);
                        else if (f->read == field_bool)
                                assert_string_equal(json_string(json_get(value, "type")), "boolean");
                        else if (f->read == field_names)
                                assert_int_equal(json_int(json_get(value, "maxItems")), (int64_t) f->max);
                        else if (f->read == field_map)
                                assert_string_equal(json_string(json_get(value, "type")), "object");
                        else if (f->read == field_list)
                                assert_string_equal(json_string(json_get(value, "type")), "array");
                }
}

/* Caps that stand in both. */
static void test_caps(void **state) {
        const Json *defs = json_get(schema, "$defs"), *properties = json_get(schema, "properties");

        assert_int_equal(json_int(json_get(json_get(properties, "phases"), "maxItems")), RUNBOOK_PHASES_MAX);
        assert_int_equal(json_int(json_get(json_get(properties, "inputs"), "maxProperties")), INPUTS_MAX);
        assert_int_equal(json_int(json_get(json_get(defs, "shellPath"), "maxLength")), SHELL_PATH_MAX);
        assert_int_equal(json_int(json_get(json_get(defs, "people"), "maxItems")), OWNERS_MAX);
}

/* All references lead somewhere. */
static void check_references(const Json *j) {
        if (json_type(j) == JSON_ARRAY)
                for (size_t i = 0; i < json_length(j); i++)
                        check_references(json_at(j, i));
        JSON_OBJECT_FOREACH(j, key, value) {
                if (streq(key, "$ref") && resolve((Json *) j) == NULL)
                        fail_msg("%s leads nowhere", json_string(value));
                check_references(value);
        }
}

static void test_references(void **state) {
        check_references(schema);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_references),
};

int main(void) {
        return cmocka_run_group_tests(tests, load, unload);
}

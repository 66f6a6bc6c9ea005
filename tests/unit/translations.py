#!/usr/bin/env python3
"""Every string for people can be translated and is; and a program that isn't installed speaks the language it is asked to.

    translations.py catalogue SOURCE_DIR XGETTEXT_ARGUMENT...
    translations.py run SOURCE_DIR LOCALE_DIR RUNBOOKCTL RUNBOOKD

`catalogue` extracts the strings of the sources anew and compares: nothing is missing in POTFILES or in a translation, nothing is left over there,
formats and plural forms fit, and only literals are marked. `run` runs the programs in a German locale made for it. Status 77 (skipped) where
gettext's tools or the data of locales are not installed."""

import gettext
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SKIPPED = 77

# Where _() may have something else than a literal: these hold texts that stand under N_() in a table.
MARKED_IN_TABLES = {
    'a->done', 'columns[i].heading', 'd->done', 'error_texts[i].text', 'f->form', 'item->hint', 'name', 'options_table[i].help', 'p->help', 'p->metavar',
    'p->question->choices_text', 'p->question->headline', 'problem_table[i].message', 'RUNBOOK_FORM', 't->what', 'table[i].words', 'trouble',
    'unsupported[f].advice', 'v->arguments', 'v->description', 'v->summary', 'words[k][1]', 'words_table[i].words',
}
COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
TEXT = re.compile(r'"(?:\\.|[^"\\\n])*"')
# Texts that stand side by side, with the formats of <inttypes.h> between them.
LITERAL = re.compile(r'\s*T(?:\s*(?:T|PRI[diuoxX]\w+))*\s*')


def run(*command, **kwargs):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8', **kwargs)


def read(*path):
    with open(os.path.join(*path), encoding='utf-8') as f:
        return f.read()


def lines_of(path):
    return [line.strip() for line in read(path).split('\n') if line.strip() and not line.startswith('#')]


def source_files(source):
    found = []
    for directory, _, names in os.walk(os.path.join(source, 'src')):
        found += [os.path.relpath(os.path.join(directory, n), source) for n in names if n.endswith(('.c', '.h'))]
    return sorted(found)


def without_comments(text):
    """Comments are blanked, texts become T padded to their width, so that parentheses and commas are those of the program."""
    def blank(m):
        s = m.group(0)
        kept = ''.join(c if c == '\n' else ' ' for c in s)
        return 'T' + kept[1:] if s[0] == '"' else "0" + kept[1:] if s[0] == "'" else kept
    return COMMENT_OR_TEXT.sub(blank, text)


def split_arguments(text, start):
    """The arguments of a call whose opening parenthesis ends at start."""
    depth, begin, found = 1, start, []
    for i in range(start, len(text)):
        depth += {'(': 1, ')': -1}.get(text[i], 0)
        if depth == 0 or (depth == 1 and text[i] == ','):
            found.append(text[begin:i])
            begin = i + 1
        if depth == 0:
            break
    return found


def bad_marks(path, source):
    """"FILE:LINE: CALL" for each mark around something that xgettext can't see."""
    text = without_comments(source)
    for m in re.finditer(r'(?<!\w)(_|N_|P_)\s*\(', text):
        if text[:m.start()].endswith('#define '):
            continue
        arguments = split_arguments(text, m.end())
        texts = arguments[:2] if m[1] == 'P_' else arguments
        wanted = 3 if m[1] == 'P_' else 1
        expression = arguments[0].strip()
        if len(arguments) == wanted and all(LITERAL.fullmatch(t) for t in texts):
            continue
        if m[1] == '_' and expression in MARKED_IN_TABLES:
            continue
        yield '%s:%u: %s(%s)' % (path, text.count('\n', 0, m.start()) + 1, m[1], expression)


def unescape(s):
    return re.sub(r'\\(.)', lambda m: {'n': '\n', 't': '\t'}.get(m[1], m[1]), s)


def messages_of(path):
    """(text, translations) of each entry but the header, obsolete ones too. Of a plural the first form is the text."""
    entries = []
    for block in read(path).split('\n\n'):
        fields = {}
        for line in block.split('\n'):
            m = re.match(r'(?:#~ )?(?:(msg\w+(?:\[\d\])?) )?"(.*)"$', line)
            if m:
                name = m[1] or name
                fields[name] = fields.get(name, '') + m[2]
        if fields.get('msgid'):
            entries.append((unescape(fields['msgid']), [unescape(v) for k, v in fields.items() if k.startswith('msgstr')]))
    return entries


class Catalogue(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.template = os.path.join(cls.directory.name, 'runbookd.pot')
        cls.extraction = run('xgettext', *xgettext_arguments, '--output=' + cls.template, *source_files(source), cwd=source)
        assert cls.extraction.returncode == 0, cls.extraction.stderr

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def languages(self):
        names = lines_of(os.path.join(source, 'po', 'LINGUAS'))
        self.assertIn('de', names)
        return [(name, os.path.join(source, 'po', name + '.po')) for name in names]

    def merged(self, language, path):
        out = os.path.join(self.directory.name, language + '.po')
        r = run('msgmerge', '--quiet', '--no-fuzzy-matching', '--output-file=' + out, path, self.template)
        self.assertEqual(r.returncode, 0, r.stderr)
        return out

    def test_extraction_warns_of_nothing(self):
        self.assertEqual(self.extraction.stderr, '')
        self.assertGreater(len(messages_of(self.template)), 500)

    def test_potfiles_is_complete_and_sorted(self):
        used = {r for line in read(self.template).split('\n') if line.startswith('#: ') for r in line[2:].split()}
        self.assertEqual(lines_of(os.path.join(source, 'po', 'POTFILES')), sorted(used))

    def test_only_literals_are_marked(self):
        bad = [b for path in source_files(source) for b in bad_marks(path, read(source, path))]
        self.assertEqual(bad, [])

    def test_marks_are_looked_at_closely(self):
        """The check itself: what it lets pass, and what it finds."""
        def found(text):
            return [b.split(': ', 1)[1] for b in bad_marks('x', text)]

        for good in ('_("a")', '_("a)" " b")', '_("a %" PRIu64 " b")', 'N_("a")', 'P_("a", "b, c", f(1, 2))', '/* _(x) */', '"_(x)"', '_(f->form)', 'x_(y)'):
            self.assertEqual(found(good), [], good)
        for bad in ('_(x)', '_(b ? "a" : "c")', 'N_(x)', 'N_(f->form)', 'P_("a", x, 1)', 'P_("a", "b")', '_(f("a"))', '_(A_TEXT "a")', '_("a", "b")'):
            self.assertEqual(len(found(bad)), 1, bad)

    def test_translations_are_complete(self):
        for language, path in self.languages():
            merged, out = self.merged(language, path), os.path.join(self.directory.name, 'some.po')
            for kind in ('--untranslated', '--only-fuzzy', '--only-obsolete'):
                r = run('msgattrib', '--force-po', '--output-file=' + out, kind, merged)
                self.assertEqual(r.returncode, 0, r.stderr)
                found = [text for text, _ in messages_of(out)]
                self.assertEqual(found, [], '%s of %s: meson compile runbookd-update-po, translate, remove runbookd.pot' % (kind, language))
            self.assertNotIn('\n#~', read(path))
            self.assertNotIn('\n#, fuzzy', read(path))

    def test_formats_and_plural_forms_agree(self):
        for language, path in self.languages():
            r = run('msgfmt', '--check', '--statistics', '--output-file=' + os.devnull, self.merged(language, path), env=dict(os.environ, LC_ALL='C'))
            self.assertEqual((r.returncode, r.stderr.strip()), (0, '%u translated messages.' % len(messages_of(self.template))))

    def test_catalogues_have_no_line_numbers(self):
        for language, path in self.languages():
            self.assertEqual(re.findall(r'^#: .*:\d.*', read(path), re.M), [])

    def test_what_is_typed_stays_as_it_is(self):
        """Names of options are no words of the language, and space at the ends belongs to the layout."""
        for language, path in self.languages():
            for text, translations in messages_of(path):
                for t in translations:
                    self.assertEqual(set(re.findall(r'--[a-z][a-z-]+', text)), set(re.findall(r'--[a-z][a-z-]+', t)), text)
                    self.assertEqual(re.match(r'\s*', text)[0], re.match(r'\s*', t)[0], text)
                    self.assertEqual(re.search(r'\s*$', text)[0], re.search(r'\s*$', t)[0], text)

    def test_german_quotes(self):
        """A straight double quote is left where it is part of a shell's words only."""
        for text, translations in messages_of(os.path.join(source, 'po', 'de.po')):
            for t in translations:
                self.assertEqual((t.count('„'), t.count('”')), (t.count('“'), 0), t)
                self.assertEqual(t.replace('$"…"', '').replace('\'befehl "$1"\'', '').count('"'), 0, t)


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        r = run('localedef', '--no-archive', '-i', 'de_DE', '-f', 'UTF-8', os.path.join(cls.directory.name, 'de_DE.UTF-8'))
        if not os.path.isdir(os.path.join(cls.directory.name, 'de_DE.UTF-8')):
            cls.directory.cleanup()
            print('a German locale can not be made here: ' + r.stderr.strip(), file=sys.stderr)
            sys.exit(SKIPPED)
        cls.catalogue = gettext.translation('runbookd', locale_directory, ['de'])

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def program(self, *command, **environment):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(('LC_', 'LANG'))}
        # Nobody is to be reached on either bus.
        return run(*command, env=dict(inherited, LOCPATH=self.directory.name, RUNBOOKD_LOCALEDIR=locale_directory, **environment))

    def german(self, *command, **environment):
        return self.program(*command, LC_ALL='de_DE.UTF-8', **environment)

    def translated(self, text):
        t = self.catalogue.gettext(text)
        self.assertNotEqual(t, text)
        return t

    def test_help_is_german(self):
        for environment in ({'LANGUAGE': 'de'}, {}):
            r = self.german(runbookctl, '--help', **environment)
            self.assertEqual((r.returncode, r.stderr), (0, ''))
            for text in ('Commands:', 'Options:', 'Show this help', 'Cancel a run', 'List runs, the newest first', 'Show the version'):
                self.assertIn(self.translated(text), re.sub(r'\s+', ' ', r.stdout))
                self.assertNotIn(text, r.stdout)

    def test_help_keeps_its_columns(self):
        """A translation can't push the layout beyond its width, and every command and option has its line."""
        english, german = self.program(runbookctl, '--help', LC_ALL='C').stdout, self.german(runbookctl, '--help').stdout
        first_words = re.compile(r'^ {2,5}((?:-\w )?--[a-z-]+|[a-z]+)', re.M)         # further lines stand further right
        self.assertLessEqual(max(map(len, german.split('\n'))), 80)
        self.assertGreater(len(first_words.findall(english)), 20)
        self.assertEqual(first_words.findall(german), first_words.findall(english))

    def test_every_command_has_german_help(self):
        for verb in ('status', 'start', 'watch', 'logs', 'history', 'approve', 'cancel', 'verify'):
            r = self.german(runbookctl, 'help', verb)
            self.assertEqual((r.returncode, r.stderr), (0, ''))
            self.assertIn(self.translated('"runbookctl --help" lists the options that every command has.'), re.sub(r'\s+', ' ', r.stdout))

    def test_messages_have_their_values(self):
        r = self.german(runbookctl, '--hepl')
        self.assertEqual(r.stderr, self.translated('There is no option --%s. Did you mean --%s?\n') % ('hepl', 'help'))

    def test_below_the_programs(self):
        """Texts of the lower layers, put together of parts."""
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, 'x.yaml')
            with open(path, 'w') as f:
                f.write('name: x\nphases: 5\n')
            r = self.german(runbookctl, 'verify', path)
            self.assertEqual(r.returncode, 1)
            self.assertIn(self.translated('"%s" must be %s, not %s') % ('phases', self.translated('a list'), self.translated('a whole number')), r.stdout + r.stderr)

    def test_daemon_is_german(self):
        r = self.german(runbookd, '--help')
        self.assertEqual(r.returncode, 0)
        self.assertTrue(r.stdout.startswith('Aufruf: runbookd'), r.stdout)

    def test_other_languages_are_english(self):
        for environment in ({'LC_ALL': 'C', 'LANGUAGE': 'de'}, {'LC_ALL': 'de_DE.UTF-8', 'LANGUAGE': 'xx'}):
            r = self.program(runbookctl, '--help', **environment)
            self.assertIn('Commands:', r.stdout)


if __name__ == '__main__':
    mode, source = sys.argv[1], os.path.abspath(sys.argv[2])
    if mode == 'catalogue':
        xgettext_arguments = sys.argv[3:]
        tools = ('xgettext', 'msgmerge', 'msgfmt', 'msgattrib')
    else:
        locale_directory, runbookctl, runbookd = map(os.path.abspath, sys.argv[3:])
        tools = ('localedef',)
    missing = [t for t in tools if not shutil.which(t)]
    if missing:
        print('not installed: ' + ', '.join(missing), file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1], defaultTest='Catalogue' if mode == 'catalogue' else 'Run')

"""verify: FILE:LINE:COLUMN: SEVERITY: MESSAGE, exit status 1 on errors, no bus needed."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from cli_harness import HERE, environment, main, program

LINE = re.compile(r'^(?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+): (?P<severity>error|warning): (?P<message>.+)$')


class Verify(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix='runbookctl-verify-')
        self.addCleanup(shutil.rmtree, self.scratch)

    def file(self, name, text):
        with open(os.path.join(self.scratch, name), 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return name

    def verify(self, *args, status=0, stdin=b''):
        env = environment('unix:path=/nonexistent', self.scratch, DBUS_SYSTEM_BUS_ADDRESS='unix:path=/nonexistent')
        p = subprocess.run([program('runbookctl', 'ctl'), 'verify'] + list(args), env=env, cwd=self.scratch, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual((p.returncode, p.stderr), (status, b''), p.stdout)
        return p.stdout.decode()

    def test_good_files_say_nothing(self):
        self.assertEqual(self.verify(self.file('a.yaml', 'phases:\n  - name: p\n    activities:\n      - name: x\n        run: "true"\n'),
                                     self.file('b.json', '{"phases": [{"name": "p", "activities": [{"name": "x", "run": "true"}]}]}')), '')

    def test_the_shipped_runbooks(self):
        directory = os.path.join(os.path.dirname(os.path.dirname(HERE)), 'conf', 'runbooks')
        files = [os.path.join(directory, f) for f in sorted(os.listdir(directory)) if f.endswith(('.yaml', '.json'))]
        self.assertTrue(files)
        self.assertEqual(self.verify(*files), '')

    def test_errors_have_positions(self):
        text = self.verify(self.file('a.yaml', 'phases:\n  - name: p\n    activites: []\n'), status=1)
        found = [LINE.match(line) for line in text.splitlines()]
        self.assertTrue(all(found), text)
        self.assertIn(('a.yaml', '3', '5', 'error'), [m.group('file', 'line', 'column', 'severity') for m in found])
        self.assertIn('did you mean "activities"?', text)

    def test_json_has_positions(self):
        text = self.verify(self.file('a.json', '{"phases": [\n  {"nme": "p"}]}'), status=1)
        self.assertRegex(text, r'(?m)^a\.json:2:\d+: error: .*"nme"')

    def test_not_a_tree(self):
        self.assertRegex(self.verify(self.file('a.yaml', 'a: [\n'), status=1), r'^a\.yaml:\d+:\d+: error: ')
        self.assertRegex(self.verify(self.file('a.json', '{,}'), status=1), r'^a\.json:1:2: error: ')

    def test_nothing_in_it(self):
        for name, text in (('empty.yaml', ''), ('comments.yaml', '# nothing\n\n  # but comments\n'), ('marks.yaml', '---\n...\n'),
                           ('bom.yaml', b'\xef\xbb\xbf'), ('empty.json', ''), ('blank.json', ' \n')):
            self.assertEqual(self.verify(self.file(name, text), status=1), name + ':1:1: error: the file is empty\n')
        self.assertEqual(self.verify('-', status=1), '-:1:1: error: the file is empty\n')

    def test_not_utf8(self):
        for name, text, where in (('latin1.yaml', b'name: x\ndescription: caf\xe9\n', '2:17'), ('utf16.yaml', '\ufeffname: x\n'.encode('utf-16-le'), '1:1'),
                                  ('cut.yaml', b'a: \xe2\x82', '1:4'), ('latin1.json', b'{"a": "\xff"}', '1:8')):
            self.assertEqual(self.verify(self.file(name, text), status=1), '%s:%s: error: invalid UTF-8; save the file as UTF-8\n' % (name, where))

    def test_every_file_is_looked_at(self):
        good = self.file('good.yaml', 'phases:\n  - name: p\n    activities:\n      - name: x\n        run: "true"\n')
        bad = self.file('bad.yaml', 'phases: 1\n')
        text = self.verify('nosuch.yaml', bad, good, 'strange.txt', status=1)
        self.assertEqual([LINE.match(line).group('file') for line in text.splitlines()], ['nosuch.yaml', 'bad.yaml', 'strange.txt'])
        self.assertEqual([LINE.match(line).group('line', 'column') for line in text.splitlines()][::2], [('1', '1'), ('1', '1')])

    def test_too_large(self):
        self.assertEqual(self.verify(self.file('a.yaml', b'#' * (1024 * 1024 + 1)), status=1).count('\n'), 1)
        self.assertEqual(self.verify(self.file('a.yaml', b'#' * (3 * 1024 * 1024)), status=1), 'a.yaml:1:1: error: the file is over 1 MiB\n')

    def test_more_than_is_listed(self):
        text = self.verify(self.file('a.yaml', ''.join('k%d: 1\n' % i for i in range(150))), status=1)
        self.assertRegex(text, r'a\.yaml: and \d+ more\n$')

    def test_standard_input(self):
        self.assertRegex(self.verify('-', status=1, stdin=b'phases: 1\n'), r'^-:1:\d+: error: ')

    def test_json_output(self):
        name = self.file('a.yaml', 'phases: 1\n')
        problems = json.loads(self.verify('--json=short', name, 'nosuch.yaml', status=1))
        self.assertEqual([list(p) for p in problems], [['file', 'line', 'column', 'severity', 'message']] * len(problems))
        self.assertEqual((problems[-1]['file'], problems[-1]['line'], problems[-1]['severity']), ('nosuch.yaml', None, 'error'))

    def test_the_name_of_a_file_is_any_bytes(self):
        problems = json.loads(self.verify('--json=short', 'caf\udce9.yaml', status=1))
        self.assertEqual([p['file'] for p in problems], ['caf\ufffd.yaml'])

    def test_messages_are_clean(self):
        text = self.verify(self.file('a.yaml', '"ke\\ey": 1\n'), status=1)
        self.assertNotIn('\x1b', text)


if __name__ == '__main__':
    main()

"""What the tests of the runbooks in conf/runbooks share: each is run as it ships, by the real daemon, with runbookctl as an operator would use it.

Times to wait are the only thing that is made shorter, in the copy that the daemon gets."""

import json
import os
import shutil
import tarfile

import harness
from harness import Daemon, Run, program, wait_until

FOLDER = os.path.join(harness.SOURCE, 'conf', 'runbooks')


def text_of(name, changes=None):
    """The text of an example, with some of its words changed; each must be there once."""
    with open(os.path.join(FOLDER, name + '.yaml'), encoding='utf-8') as f:
        text = f.read()
    for old, new in (changes or {}).items():
        if text.count(old) != 1:
            raise AssertionError('%s.yaml has "%s" %d times' % (name, old, text.count(old)))
        text = text.replace(old, new)
    return text


class TestCase(harness.TestCase):
    """examples: name -> words to be changed."""

    examples = {}
    config = None
    maxDiff = None

    @classmethod
    def make_daemon(cls):
        return Daemon(config=cls.config)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, changes in cls.examples.items():
            cls.daemon.write_runbook(name, text_of(name, changes))

    def setUp(self):
        self.dir = os.path.join(self.daemon.scratch, self.id().rsplit('.', 1)[1])
        os.mkdir(self.dir)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def put(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + '~', 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path + '~', mode)
        os.rename(path + '~', path)
        return path

    def text(self, *names):
        with open(self.path(*names), encoding='utf-8') as f:
            return f.read()

    def tarball(self, name, files):
        """files: name -> text; all are programs."""
        tree = self.path('tree')
        shutil.rmtree(tree, ignore_errors=True)
        for file, text in files.items():
            self.put(os.path.join('tree', file), text, 0o755)
        with tarfile.open(self.path(name + '~'), 'w:gz') as t:
            t.add(tree, '.')
        os.rename(self.path(name + '~'), self.path(name))
        return self.path(name)

    # -- runbookctl

    def ctl(self, *argv, check=True):
        return self.daemon.tool(program('runbookctl', 'ctl'), '--user', *[str(a) for a in argv], check=check)

    def start(self, name, **inputs):
        options = [o for key, value in inputs.items() for o in ('-i', '%s=%s' % (key, value))]
        run = json.loads(self.ctl('start', name, '--json=short', *options).stdout)['id']
        return Run(self.daemon, run, '%s/run/%d' % (harness.PATH, run))

    def again(self, *argv):
        """replay or rerun: the new run."""
        run = json.loads(self.ctl(*argv, '--json=short').stdout)['id']
        return Run(self.daemon, run, '%s/run/%d' % (harness.PATH, run))

    def verify(self):
        """What ships is fine, and draws no warning."""
        for name in self.examples:
            p = self.ctl('verify', os.path.join(FOLDER, name + '.yaml'))
            self.assertEqual((p.stdout, p.stderr), ('', ''))

    # -- runs

    @staticmethod
    def wait_begun(run, activity, step):
        """Until this step is running."""
        def there():
            attempts = json.loads(run.activity(activity, 'Describe'))['attempts']
            return attempts and any(s['id'] == step and s['state'] == 'running' for s in attempts[-1]['steps'])
        wait_until(there, 'step %s of %s\n%s' % (step, activity, run.daemon.log()))

    @staticmethod
    def attempts(run, activity):
        return [(t['number'], t['cause'], t['state']) for t in json.loads(run.activity(activity, 'Describe'))['attempts']]

    @staticmethod
    def steps(run, activity, attempt):
        """(list, id, state) of what an attempt did."""
        found = json.loads(run.activity(activity, 'Describe'))['attempts'][attempt - 1]['steps']
        return [(s['hook'] or 'main', s['id'], s['state']) for s in found]

    @staticmethod
    def states(run):
        return {str(a[0]): str(a[2]) for a in run.call('ListActivities')}

    def whole(self, run):
        """S0.2, S0.7: the history has no gap, and is kept as it was told."""
        history = run.history()
        self.assertEqual([int(e[0]) for e in history], list(range(1, len(history) + 1)))
        return history

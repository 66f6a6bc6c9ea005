"""The same calls by other D-Bus programs: busctl and gdbus."""
import json
import os

import harness
from harness import ACTIVITY, ASK, HELLO, MANAGER, NAME, PATH, RUN


class Clients(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon.write_runbook('hello', HELLO)
        cls.daemon.write_runbook('ask', ASK)

    def busctl(self, *args, **kwargs):
        return self.daemon.tool('busctl', '--user', *args, **kwargs)

    def gdbus(self, *args, **kwargs):
        return self.daemon.tool('gdbus', *args, **kwargs)

    def test_busctl(self):
        p = self.busctl('--json=short', 'call', NAME, PATH, MANAGER, 'StartRun', 'sa{sv}a{sv}', 'ask', '0', '1', 'Comment', 's', 'by busctl')
        number, path = json.loads(p.stdout)['data']
        run = self.daemon.run(number)
        self.assertEqual(path, run.path)
        run.wait_state('on-hold')
        self.assertEqual(self.busctl('get-property', NAME, path, RUN, 'State').stdout, 's "on-hold"\n')
        activity = run.activity_path('sign-off')
        self.busctl('call', NAME, activity, ACTIVITY, 'Approve', 'a{sv}', '1', 'Comment', 's', 'yes')
        self.assertEqual(run.wait_ended(), 'success')
        p = self.busctl('call', NAME, path, RUN, 'Describe')
        self.assertIn('success', p.stdout)
        p = self.busctl('call', NAME, PATH, MANAGER, 'GetRun', 'u', '4000000', check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn('There is no run 4000000', p.stderr)

    def test_busctl_introspects(self):
        run = self.daemon.start_run('ask')
        run.wait_state('on-hold')
        for path, interface in ((PATH, MANAGER), (run.path, RUN), (run.activity_path('sign-off'), ACTIVITY)):
            self.assertIn(interface, self.busctl('introspect', NAME, path).stdout)
        tree = self.busctl('tree', '--list', NAME).stdout.split()
        for path in (PATH, run.path, run.activity_path('sign-off'), run.activity_path('after')):
            self.assertIn(path, tree)
        run.call('Cancel', 'a{sv}', {})

    def test_gdbus(self):
        p = self.gdbus('call', '--session', '--dest', NAME, '--object-path', PATH, '--method', MANAGER + '.StartRun', 'hello', '{}', "{'Labels': <{'a': 'b'}>}")
        number = int(p.stdout.split()[1].rstrip(','))
        run = self.daemon.run(number)
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(dict(run.get('Labels')), {'a': 'b'})
        p = self.gdbus('introspect', '--session', '--dest', NAME, '--object-path', run.path)
        self.assertIn("interface org.runbookd1.Run", p.stdout)
        p = self.gdbus('call', '--session', '--dest', NAME, '--object-path', run.path + '/activity/greet', '--method', ACTIVITY + '.ReadLog', '0', '', '0')
        self.assertIn("hello", p.stdout.replace('0x68, 0x65, 0x6c, 0x6c, 0x6f', 'hello'))
        p = self.gdbus('call', '--session', '--dest', NAME, '--object-path', PATH, '--method', MANAGER + '.StartRun', 'nosuch', '{}', '{}', check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn('org.runbookd1.Error.NoSuchRunbook', p.stderr)

    def test_no_memory_of_callers(self):
        """Hundreds of short-lived callers, each known by its own connection."""
        for _ in range(20):
            self.busctl('call', NAME, PATH, MANAGER, 'ListRunbooks')
        self.assertEqual(os.getuid(), self.daemon.start_run('hello').get('StartedBy'))


if __name__ == '__main__':
    harness.main()

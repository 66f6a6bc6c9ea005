"""logs: merged or of one activity or step; followed; with holes; by descriptor and through the bus."""

import os
import signal
import socket
import threading

from cli_harness import TestCase, main, wait_until
from fake_daemon import LOG_PAGE


class Plain(TestCase):
    def test_a_whole_run(self):
        self.golden('logs', self.ok('logs', '1'))

    def test_the_newest_attempt(self):
        self.assertEqual(self.ok('logs', '1/dist'), 'configuring again\ncc -c a.c\nno newline at the end')

    def test_an_attempt(self):
        self.assertEqual(self.ok('logs', '1/dist', '--attempt', '1'), 'configuring\ncc -c a.c\na.c:1: error: \x1b[31mboom\x1b[0m\n')
        self.assertIn('There is no log', self.fails(1, 'logs', '1/dist', '--attempt', '7'))

    def test_a_step(self):
        self.assertEqual(self.ok('logs', '1/dist/compile'), 'cc -c a.c\nno newline at the end')
        self.assertEqual(self.ok('logs', '1/dist/step-1', '--attempt', '1'), 'configuring\n')

    def test_the_last_lines(self):
        self.assertEqual(self.ok('logs', '4/work', '-n', '2'), 'line 499\nline 500\n')
        self.assertEqual(self.ok('logs', '4', '-n', '2'), 'work | line 499\nwork | line 500\n')
        self.assertEqual(self.ok('logs', '1/dist', '-n', '1'), 'no newline at the end')
        self.assertEqual(self.ok('logs', '4', '-n', '0') + self.ok('logs', '4/work', '-n', '0'), '')

    def test_what_is_gone_is_said(self):
        for args in (('logs', '4/work'), ('logs', '4/work/step-1'), ('logs', '4')):
            p = self.fake.ctl(*args)
            self.assertEqual(p.returncode, 0)
            self.assertIn('4096 bytes at the head of this log are no longer kept', p.stderr.decode())
            lines = p.stdout.decode().splitlines()
            self.assertEqual(len(lines), 500)
            self.assertTrue(lines[0].endswith('line 1'))
            self.assertNotIn(b'\0', p.stdout)

    def test_nothing_there(self):
        self.assertIn('There is no log', self.fails(1, 'logs', '2/qa'))
        self.assertIn('Did you mean "dist"', self.fails(1, 'logs', '1/dits'))
        self.assertEqual(self.ok('logs', '2'), '')


class Followed(TestCase):
    def setUp(self):
        self.fake.auto(['work'])
        self.ok('start', 'ship')
        self.run_number = self.fake.last()

    def popen(self, *args):
        p = self.fake.popen('logs', *args)
        self.addCleanup(p.kill)
        return p

    def test_one_activity(self):
        p = self.popen('-f', '%d/dist' % self.run_number)
        self.assertEqual(p.stdout.readline(), 'hello from dist\n')
        self.fake.beat(self.run_number, 'more')
        self.assertEqual(p.stdout.readline(), 'one more line\n')
        self.fake.beat(self.run_number, 'worked')
        self.assertEqual((p.stdout.read(), p.wait()), ('', 0))

    def test_a_step(self):
        p = self.popen('-f', '%d/dist/step-1' % self.run_number)
        self.assertEqual(p.stdout.readline(), 'hello from dist\n')
        self.fake.beat(self.run_number, 'more')
        self.assertEqual(p.stdout.readline(), 'one more line\n')
        self.fake.beat(self.run_number, 'worked')
        self.assertEqual((p.stdout.read(), p.wait()), ('', 0))

    def test_a_run(self):
        p = self.popen('-f', '%d' % self.run_number)
        self.assertEqual(p.stdout.readline(), 'dist | hello from dist\n')
        self.fake.beat(self.run_number, 'more')
        self.assertEqual(p.stdout.readline(), 'dist | one more line\n')
        self.fake.beat(self.run_number, 'worked')
        self.fake.beat(self.run_number, 'end')
        self.assertEqual((p.stdout.read(), p.wait()), ('', 0))

    def test_from_the_last_lines_on(self):
        self.fake.beat(self.run_number, 'more')
        for target in ('%d' % self.run_number, '%d/dist' % self.run_number):
            p = self.popen('-f', '-n', '1', target)
            self.assertTrue(p.stdout.readline().endswith('one more line\n'))
            p.send_signal(signal.SIGINT)
            self.assertEqual((p.stdout.read(), p.wait()), ('', 0))

    def test_what_has_ended_ends(self):
        self.assertEqual(self.ok('logs', '-f', '1/dist'), 'configuring again\ncc -c a.c\nno newline at the end')
        self.assertEqual(self.ok('logs', '-f', '1'), self.ok('logs', '1'))


class Proxy(threading.Thread):
    """Between a client and the bus, as an ssh connection is: bytes go through, descriptors don't."""

    def __init__(self, path, to):
        super().__init__(daemon=True)
        self.to = to
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()

    @staticmethod
    def pump(a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                # Who asks whether descriptors may be passed is told no, before any answer of the bus.
                b.sendall(data.replace(b'NEGOTIATE_UNIX_FD\r\n', b'NEGOTIATE_UNIX_XX\r\n'))
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def run(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.to)
            threading.Thread(target=self.pump, args=(client, server), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client), daemon=True).start()


class WithoutDescriptors(TestCase):
    """Where the connection can't pass descriptors, ReadLog does: page by page, to the same text."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        path = os.path.join(cls.fake.scratch, 'far')
        Proxy(path, cls.fake.bus.socket).start()
        cls.far = {'DBUS_SESSION_BUS_ADDRESS': 'unix:path=' + path}

    def test_same_text(self):
        for args in (('logs', '1'), ('logs', '1/dist'), ('logs', '1/dist', '--attempt', '1'), ('logs', '1/dist/compile'), ('logs', '4/work'), ('logs', '4'), ('logs', '4/work', '-n', '3')):
            with self.subTest(args=args):
                self.fake.calls()
                near = self.fake.ctl(*args)
                self.fake.calls()
                far = self.fake.ctl(*args, **self.far)
                calls = self.fake.calls()
                self.assertEqual([c for c in calls if c['member'] == 'OpenLog'], [])
                self.assertGreaterEqual(len([c for c in calls if c['member'] == 'ReadLog']), 1)
                self.assertEqual((far.stdout, far.stderr, far.returncode), (near.stdout, near.stderr, near.returncode))

    def test_pages(self):
        self.fake.calls()
        self.fake.ctl('logs', '4/work', **self.far)
        offsets = [c['args'][2] for c in self.fake.calls('ReadLog')]
        self.assertEqual(offsets[:3], [0, 4096 + LOG_PAGE, 4096 + 2 * LOG_PAGE])

    def test_near_uses_descriptors(self):
        self.fake.calls()
        self.ok('logs', '1/dist')
        self.assertEqual([c['member'] for c in self.fake.calls() if c['member'].endswith('Log')], ['OpenLog'])

    def test_followed(self):
        self.fake.auto(['work'])
        self.ok('start', 'ship')
        run = self.fake.last()
        p = self.fake.popen('logs', '-f', '%d/dist' % run, **self.far)
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), 'hello from dist\n')
        self.fake.beat(run, 'more')
        self.assertEqual(p.stdout.readline(), 'one more line\n')
        self.fake.beat(run, 'worked')
        self.assertEqual((p.stdout.read(), p.wait()), ('', 0))


if __name__ == '__main__':
    main()

"""A real notification server on a display of its own, started by the bus because the agent calls it; the buttons are found by their colour and pressed with the mouse; the run goes
on. S0.18, S0.19, S5.5. With RUNBOOKD_SCREENSHOTS=DIR the screens are kept there. Status 77 (skipped) where the programs are not installed; tools/deps installs them."""

import glob
import os
import shutil
import subprocess
import sys

import agent_harness
import harness
from agent_harness import LIMIT, wait_until

SKIPPED = 77
WIDTH, HEIGHT = 1024, 600
BUTTON = (0x34, 0x65, 0xa4)
SERVICES = {'org.freedesktop.Notifications': '/usr/lib/*/xfce4/notifyd/xfce4-notifyd', 'org.xfce.Xfconf': '/usr/lib/*/xfce4/xfconf/xfconfd'}
PROGRAMS = ('Xvfb', 'xdotool', 'import', 'xsetroot')
CSS = 'button { background-image: none; background-color: #3465a4; color: white; border: none; text-shadow: none; }\n'

RUNBOOK = '''
phases:
  - name: test
    activities:
      - {name: unit, failurePolicy: hold, run: 'test -e again || { touch again; echo no disk; exit 3; }'}
  - name: sign-off
    activities:
      - name: qa
        approval: {title: 'Ship 1.2 to <everybody>?', message: "All tests have passed & nothing is open.\\nThe last release was three weeks ago.", timeout: 24h}
  - name: publish
    activities:
      - name: key
        approval: {title: Which key?, message: The tarball is to be signed., fields: {key: {type: string, required: true}}}
'''


class Desktop(agent_harness.TestCase):
    user_mode = True

    @classmethod
    def setUpClass(cls):
        out, into = os.pipe()
        # Without -noreset the display forgets its background when the first program has left.
        cls.x = subprocess.Popen(['Xvfb', '-displayfd', str(into), '-screen', '0', '%dx%dx24' % (WIDTH, HEIGHT), '-nolisten', 'tcp', '-noreset'], pass_fds=[into],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(into)
        with os.fdopen(out) as f:
            cls.display = ':' + f.readline().strip()
        subprocess.run(['xsetroot', '-solid', '#446677'], env=dict(os.environ, DISPLAY=cls.display), check=True, timeout=LIMIT)

    @classmethod
    def tearDownClass(cls):
        cls.x.terminate()
        cls.x.wait()

    def adjust(self, bus, name):
        """The session's bus starts the server, and gives it the display by its own environment."""
        if name != 'session':
            return
        config, services = os.path.join(self.scratch, 'config'), os.path.join(self.scratch, 'services')
        os.makedirs(os.path.join(config, 'gtk-3.0'))
        os.mkdir(services)
        with open(os.path.join(config, 'gtk-3.0', 'gtk.css'), 'w', encoding='ascii') as f:
            f.write(CSS)
        for service, pattern in SERVICES.items():
            with open(os.path.join(services, service + '.service'), 'w', encoding='ascii') as f:
                f.write('[D-BUS Service]\nName=%s\nExec=%s\n' % (service, glob.glob(pattern)[0]))
        with open(bus.config, encoding='utf-8') as f:
            text = f.read()
        with open(bus.config, 'w', encoding='utf-8') as f:
            f.write(text.replace('</busconfig>', '<servicedir>%s</servicedir></busconfig>' % services))
        runtime = os.path.join(self.scratch, 'runtime')
        os.mkdir(runtime, 0o700)
        more = {'DISPLAY': self.display, 'XDG_CONFIG_HOME': config, 'XDG_CACHE_HOME': os.path.join(self.scratch, 'cache'), 'XDG_RUNTIME_DIR': runtime, 'HOME': self.scratch,
                'NO_AT_BRIDGE': '1', 'GSETTINGS_BACKEND': 'memory', 'LC_ALL': 'C.UTF-8', 'DBUS_SESSION_BUS_ADDRESS': bus.address}
        before = {k: os.environ.get(k) for k in more}
        os.environ.update(more)
        self.addCleanup(self.restore, before)

    @staticmethod
    def restore(before):
        for k, v in before.items():
            if v is None:
                os.environ.pop(k, None)
            else:
                os.environ[k] = v

    def setUp(self):
        super().setUp()
        scratch = os.path.join(self.scratch, 'daemon')
        os.mkdir(scratch)
        self.daemon = harness.Daemon(scratch=scratch, bus=self.session)
        self.addCleanup(self.daemon.close)
        self.daemon.write_runbook('ship', RUNBOOK)
        self.daemon.start()

    def tool(self, *argv):
        return subprocess.run(argv, env=dict(os.environ, DISPLAY=self.display), stdout=subprocess.PIPE, check=True, timeout=LIMIT).stdout

    def buttons(self):
        """The middle of each button on the screen, from left to right."""
        pixels = self.tool('import', '-silent', '-window', 'root', '-depth', '8', 'rgb:-')
        rows = {}                                       # x → rows of that colour
        for y in range(HEIGHT):
            row = pixels[y * WIDTH * 3:(y + 1) * WIDTH * 3]
            at = row.find(bytes(BUTTON))
            while at >= 0:
                if at % 3 == 0:
                    rows.setdefault(at // 3, []).append(y)
                at = row.find(bytes(BUTTON), at + 1)
        found, last = [], None
        for x in sorted(rows):
            if last is None or x > last + 2:
                found.append([x, x, rows[x]])
            found[-1][1] = last = x
        return [((left + right) // 2, (min(ys) + max(ys)) // 2) for left, right, ys in found if right - left > 20]

    def wait_buttons(self, n):
        """Until so many are there and stay where they are."""
        last = []

        def there():
            now, before = self.buttons(), list(last)
            last[:] = now
            return len(now) == n and now == before and (now or [True])
        found = wait_until(there, '%d buttons' % n, LIMIT)
        return [] if n == 0 else found

    def keep(self, name):
        if os.environ.get('RUNBOOKD_SCREENSHOTS'):
            self.tool('import', '-silent', '-window', 'root', os.path.join(os.environ['RUNBOOKD_SCREENSHOTS'], name + '.png'))

    def click(self, place):
        self.tool('xdotool', 'mousemove', str(place[0]), str(place[1]), 'click', '1')

    def test_buttons_are_pressed(self):
        opened = os.path.join(self.scratch, 'opened')
        self.configure_at(os.path.join(self.scratch, 'config'), '[Agent]\nOpenCommand=echo "$RUNBOOK_COMMAND" >%s.new; mv %s.new %s\n' % ((opened,) * 3))
        self.start(XDG_CONFIG_HOME=os.path.join(self.scratch, 'config'))
        run = self.daemon.start_run('ship')
        buttons = self.wait_buttons(3)
        self.keep('decision')
        self.click(buttons[0])
        # The server takes it off the screen before it tells that its button was pressed, so what is there afterwards is the next.
        run.wait_activity('qa', 'on-hold')
        self.assertEqual(run.activity_get('unit', 'State'), 'success')
        buttons = self.wait_buttons(3)
        self.keep('approval')
        self.click(buttons[0])
        run.wait_activity('key', 'on-hold')
        open_button = self.wait_buttons(2)[1]           # Reject and Open: there is something to fill in
        self.keep('fields')
        self.click(open_button)
        wait_until(lambda: os.path.exists(opened), 'what Open starts')
        with open(opened, encoding='ascii') as f:
            self.assertEqual(f.read(), 'runbookctl --user watch 1\n')
        self.wait_buttons(0)
        run.activity('key', 'Reject', 'a{sv}', harness.dbus.Dictionary({}, signature='sv'))
        self.assertEqual(run.wait_ended(), 'rejected')

    def configure_at(self, config, text):
        os.makedirs(os.path.join(config, 'runbookd'), exist_ok=True)
        with open(os.path.join(config, 'runbookd', 'agent.conf'), 'w', encoding='utf-8') as f:
            f.write(text)

    def test_withdrawn_from_the_screen(self):
        self.start()
        run = self.daemon.start_run('ship')
        self.wait_buttons(3)
        run.call('Cancel', 'a{sv}', harness.dbus.Dictionary({}, signature='sv'))
        self.wait_buttons(0)


if __name__ == '__main__':
    missing = [p for p in PROGRAMS if not shutil.which(p)] + [p for p in SERVICES.values() if not glob.glob(p)]
    if missing:
        print('not installed: ' + ', '.join(missing), file=sys.stderr)
        sys.exit(SKIPPED)
    agent_harness.main()

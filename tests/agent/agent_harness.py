"""What the tests of runbook-agent share: two private buses, a notification server and a runbookd that do what the test says, and the agent itself. Both fakes live in the
test's own main loop; their interfaces are the XML files of dbus/ and the Desktop Notifications Specification. Everything is waited for, nothing is slept for.

A look at something that must not happen is made behind a barrier: settle() lets an exchange go through the agent that comes after it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from gi.repository import Gio, GLib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'bus'))
from harness import Daemon, PrivateBus, program, wait_until  # noqa: E402,F401  pylint: disable=unused-import,wrong-import-position

SOURCE = os.path.dirname(os.path.dirname(HERE))
NAME, PATH = 'org.runbookd1', '/org/runbookd1'
MANAGER, RUN, ACTIVITY = NAME + '.Manager', NAME + '.Run', NAME + '.Activity'
NOTIFICATIONS, NOTIFICATIONS_PATH = 'org.freedesktop.Notifications', '/org/freedesktop/Notifications'
ALL = ('actions', 'body', 'body-markup', 'persistence')
INTERACTIVE = Gio.DBusMessageFlags.ALLOW_INTERACTIVE_AUTHORIZATION
LIMIT = 60.0
USEC = 1000000

NOTIFICATIONS_XML = '''<node><interface name="org.freedesktop.Notifications">
<method name="GetCapabilities"><arg type="as" direction="out"/></method>
<method name="Notify"><arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="as" direction="in"/><arg type="a{sv}" direction="in"/><arg type="i" direction="in"/><arg type="u" direction="out"/></method>
<method name="CloseNotification"><arg type="u" direction="in"/></method>
<method name="GetServerInformation"><arg type="s" direction="out"/><arg type="s" direction="out"/><arg type="s" direction="out"/><arg type="s" direction="out"/></method>
</interface></node>'''


def agent_program():
    return os.environ.get('RUNBOOK_AGENT') or program('runbook-agent', 'agent')


def connect(address):
    return Gio.DBusConnection.new_for_address_sync(address, Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)


def ask_driver(connection, method, arguments):
    return connection.call_sync('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', method, arguments, None, 0, -1, None).unpack()


def interfaces(xml):
    return {i.name: i for i in Gio.DBusNodeInfo.new_for_xml(xml).interfaces}


def contract(name):
    with open(os.path.join(SOURCE, 'dbus', name + '.xml'), encoding='utf-8') as f:
        return interfaces(f.read())[name]


class Service:
    """A connection that owns a name and serves objects. Subclasses have methods named as those of the bus, which return a tuple or raise Refusal."""

    def __init__(self, bus, name):
        self.connection = connect(bus.address)
        self.name = name
        self.calls = []                         # (path, member, arguments, interactive)
        self.refuse = {}                        # member → [(error, text), …]: the next calls of it fail so
        self.stuck = {}                         # member → [] of invocations that are not answered
        self.objects = {}

    def own(self):
        assert ask_driver(self.connection, 'RequestName', GLib.Variant('(su)', (self.name, 4))) == (1,)

    def add_object(self, path, info):
        self.objects[path] = self.connection.register_object(path, info, self.on_call, None, None)

    def remove_object(self, path):
        self.connection.unregister_object(self.objects.pop(path))

    def on_call(self, connection, sender, path, interface, member, arguments, invocation):
        self.calls.append((path, member, arguments.unpack(), bool(invocation.get_message().get_flags() & INTERACTIVE)))
        if member in self.stuck:
            self.stuck[member].append(invocation)
            return
        if self.refuse.get(member):
            invocation.return_dbus_error(*self.refuse[member].pop(0))
            return
        self.answer(invocation, path, member, arguments.unpack())

    def answer(self, invocation, path, member, arguments):
        try:
            signature, values = getattr(self, 'do_' + member)(path, *arguments)
            invocation.return_value(GLib.Variant(signature, values) if signature else None)
        except Refusal as e:
            invocation.return_dbus_error(e.name, e.text)

    def let_go(self, member):
        """Those that were stuck are answered, and so are the next."""
        for i in self.stuck.pop(member):
            self.answer(i, i.get_object_path(), member, i.get_parameters().unpack())

    def signal(self, path, interface, member, variant, destination=None):
        if not self.connection.is_closed():             # an agent that ends may still call when the test is over
            self.connection.emit_signal(destination, path, interface, member, variant)

    def called(self, member):
        return [c for c in self.calls if c[1] == member]

    def stop(self):
        if not self.connection.is_closed():
            self.connection.close_sync(None)


class Refusal(Exception):
    def __init__(self, name, text='no'):
        super().__init__(text)
        self.name, self.text = name, text


class Note:
    def __init__(self, ident, arguments):
        self.id = ident
        self.app, self.replaces, self.icon, self.summary, self.body, actions, self.hints, self.expire = arguments
        self.actions = dict(zip(actions[::2], actions[1::2]))
        self.keys = actions[::2]


class Server(Service):
    """A notification server. `there`: what is on the screen, by id."""

    def __init__(self, bus, capabilities=ALL, first_id=1):
        super().__init__(bus, NOTIFICATIONS)
        self.capabilities, self.next_id, self.there, self.closed, self.log = capabilities, first_id, {}, [], []
        self.add_object(NOTIFICATIONS_PATH, interfaces(NOTIFICATIONS_XML)[NOTIFICATIONS])
        self.own()

    def do_GetCapabilities(self, path):
        return '(as)', (list(self.capabilities),)

    def do_Notify(self, path, *arguments):
        ident = arguments[1] if arguments[1] in self.there else self.next_id
        self.next_id += ident == self.next_id
        self.there[ident] = Note(ident, arguments)
        self.log.append(self.there[ident])
        return '(u)', (ident,)

    def do_CloseNotification(self, path, ident):
        self.closed.append(ident)
        if self.there.pop(ident, None):
            self.tell('NotificationClosed', '(uu)', ident, 3)
        return None, None

    def tell(self, member, signature, *values):
        self.signal(NOTIFICATIONS_PATH, NOTIFICATIONS, member, GLib.Variant(signature, values))

    def press(self, note, key, closed_first=False):
        """As servers do it: the notification is gone then."""
        self.there.pop(note.id)
        messages = [('ActionInvoked', '(us)', note.id, key), ('NotificationClosed', '(uu)', note.id, 2)]
        for m in reversed(messages) if closed_first else messages:
            self.tell(*m)

    def dismiss(self, note):
        self.there.pop(note.id)
        self.tell('NotificationClosed', '(uu)', note.id, 2)

    def find(self, text):
        return [n for n in self.there.values() if text in n.summary or text in n.body]

    def wait(self, text, gone=False):
        """The one notification in which this stands."""
        def there():
            found = self.find(text)
            return not found if gone else found
        found = wait_until(there, 'a notification %s %r; there are: %r' % ('without' if gone else 'with', text, [n.summary for n in self.there.values()]), LIMIT)
        assert gone or len(found) == 1, [n.summary for n in found]
        return None if gone else found[0]

    def wait_count(self, n):
        wait_until(lambda: len(self.there) == n, '%d notifications; there are: %r' % (n, [x.summary for x in self.there.values()]), LIMIT)


def encode(name):
    return ''.join(c if c.isascii() and c.isalnum() and not (i == 0 and c.isdigit()) else '_%02x' % ord(c) for i, c in enumerate(name))


class Runbookd(Service):
    """A runbookd with requests and nothing else."""

    def __init__(self, bus):
        super().__init__(bus, NAME)
        self.requests, self.opened = {}, 0
        self.add_object(PATH, contract(MANAGER))
        self.own()

    def add(self, run, activity, kind='approval', title='', message='', approvers=(), deadline=0, fields=(), answers=(), context=None, tell=True):
        """Opens a request; its path."""
        self.opened += 1
        path = '%s/run/%d/activity/%s' % (PATH, run, encode(activity))
        self.requests[path] = {'run': run, 'activity': activity, 'kind': kind, 'title': title, 'message': message, 'approvers': list(approvers), 'deadline': deadline,
                               'fields': list(fields), 'answers': [{'uid': u, 'user': 'x', 'action': 'approve'} for u in answers], 'context': context, 'openedAt': self.opened}
        run_path = '%s/run/%d' % (PATH, run)
        if path not in self.objects:
            self.add_object(path, contract(ACTIVITY))
        if run_path not in self.objects:
            self.objects[run_path] = self.connection.register_object(run_path, contract(RUN), self.on_call, lambda *a: GLib.Variant('s', 'deploy'), None)
        if tell:
            self.required(path)
        return path

    def required(self, path, destination=None, connection=None):
        r = self.requests[path]
        arguments = GLib.Variant('(uosssSast)'.replace('S', 's'), (r['run'], path, 'deploy', r['activity'], r['kind'], r['title'], r['approvers'], r['deadline']))
        (connection or self.connection).emit_signal(destination, PATH, MANAGER, 'InputRequired', arguments)

    def resolve(self, path, how='approved', tell=True):
        del self.requests[path]
        if tell:
            self.signal(PATH, MANAGER, 'RequestResolved', GLib.Variant('(osu)', (path, how, 0)))

    def do_ListRequests(self, path):
        return '(a(uossssast))', ([(r['run'], p, r['activity'], r['kind'], r['title'], r['message'], r['approvers'], r['deadline']) for p, r in self.requests.items()],)

    def do_GetRequest(self, path):
        if path not in self.requests:
            raise Refusal(NAME + '.Error.WrongState', 'It waits for nobody.')
        r = self.requests[path]
        return '(s)', (json.dumps({'canAnswer': all(a['uid'] != os.getuid() for a in r['answers']), **r}),)

    def act(self, path, how, options):
        assert set(options) == {'OpenedAt'}, options
        if path not in self.requests or self.requests[path]['openedAt'] != options['OpenedAt']:
            raise Refusal(NAME + '.Error.WrongState', 'It waits for nobody, or asks something else now.')
        self.resolve(path, how)
        return None, None

    def do_Approve(self, path, options):
        return self.act(path, 'approved', options)

    def do_Reject(self, path, options):
        return self.act(path, 'rejected', options)

    def do_Retry(self, path, options):
        return self.act(path, 'retried', options)

    def do_Ignore(self, path, options):
        return self.act(path, 'ignored', options)


class TestCase(unittest.TestCase):
    """Two buses; the fakes and the agent are made by the test, in the order that it wants."""

    user_mode = False

    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix='runbook-agent-test-')
        os.chmod(self.scratch, 0o755)
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.session, self.system = self.bus('session'), self.bus('system')
        self.agents = []
        self.log_path = os.path.join(self.scratch, 'log')

    def bus(self, name):
        directory = os.path.join(self.scratch, name)
        os.mkdir(directory)
        bus = PrivateBus(directory)
        self.adjust(bus, name)
        bus.start()
        self.addCleanup(bus.stop)
        return bus

    def adjust(self, bus, name):
        pass

    def server(self, *args, **kwargs):
        s = Server(self.session, *args, **kwargs)
        self.addCleanup(s.stop)
        return s

    def runbookd(self):
        d = Runbookd(self.session if self.user_mode else self.system)
        self.addCleanup(d.stop)
        return d

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if k.split('_')[0] not in ('XDG', 'DBUS', 'LANG', 'LC', 'NOTIFY') and k != 'LANGUAGE'}
        env.update(HOME=self.scratch, LC_ALL='C.UTF-8', TZ='UTC', XDG_RUNTIME_DIR=self.scratch, DBUS_SESSION_BUS_ADDRESS=self.session.address,
                   DBUS_SYSTEM_BUS_ADDRESS=self.system.address)
        env.update(more)
        return env

    def start(self, *args, **env):
        with open(self.log_path, 'ab') as log:
            p = subprocess.Popen([agent_program(), '--log-level=debug'] + ['--user'] * self.user_mode + list(args), env=self.environment(**env), stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=log)
        self.agents.append(p)
        self.addCleanup(self.end, p)
        return p

    def end(self, p, number=signal.SIGTERM):
        """Its status; a signal, and nothing else, ends it."""
        if p.poll() is None:
            p.send_signal(number)
        wait_until(lambda: p.poll() is not None, 'the end of the agent', LIMIT)
        self.assertNotIn('Sanitizer', self.log())
        self.assertNotIn('runtime error', self.log())
        return p.returncode

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as f:
            return f.read()

    def configure(self, text):
        path = os.path.join(self.scratch, '.config', 'runbookd')
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, 'agent.conf'), 'w', encoding='utf-8') as f:
            f.write(text)

    def settle(self, daemon, server):
        """What the agent was told before now has been dealt with: a request goes all the way to the screen and back. Signals of both fakes are waited for."""
        path = daemon.add(999, 'settle', title='settle it')
        note = server.wait('settle it')
        server.press(note, 'approve')
        wait_until(lambda: path not in daemon.requests, 'the answer to the barrier', LIMIT)
        context = GLib.MainContext.default()
        while context.iteration(False):
            pass
        server.log[:] = [n for n in server.log if n.id != note.id]

    def tearDown(self):
        outcome = getattr(self._outcome, 'result', None)
        if outcome and any(t is self for t, _ in outcome.failures + outcome.errors) and os.path.exists(self.log_path):
            sys.stderr.write(self.log())


def main():
    unittest.main(verbosity=2)

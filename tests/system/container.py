"""A booted Debian 12 in a container, for tests of the installed program: systemd, D-Bus and the journal as they are.

The root file system is made once and kept below build/; each run of the tests works on a throw-away layer over it. What is peculiar here:

- The container gets a control group of its own before it is started: containers that are started from one group share the groups below it.
- Inside there is only the unified hierarchy, whatever the host has, so that control groups work as on a current system.
- systemd-nspawn's first child is a short-lived helper; the one whose name is "systemd" is the container's first process.
- Every call into the container has a time limit: a bus that waits for a unit that does not come answers only after 25 seconds."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

PACKAGES = ('systemd', 'systemd-sysv', 'dbus', 'dbus-user-session', 'libpam-systemd', 'procps', 'passwd', 'util-linux', 'libsystemd0', 'libjson-c5', 'libyaml-0-2', 'libinih1',
            'libsqlite3-0', 'libsmartcols1', 'libmd0', 'polkitd')
CGROUPS = '/sys/fs/cgroup'
LIMIT = 60.0                                    # seconds until a wait is given up


def wait_until(condition, what, limit=LIMIT):
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError('waited in vain for ' + what)
        time.sleep(0.02)


def why_impossible():
    """None, or why there can be no container here."""
    if os.geteuid() != 0:
        return 'only root can start containers: run this as root'
    for program in ('systemd-nspawn', 'mmdebstrap', 'nsenter'):
        if not shutil.which(program):
            return program + ' is missing: run "tools/deps system"'
    return None


def make_rootfs(directory):
    """Makes the root file system, or finds it there from an earlier run with the same packages."""
    stamp = os.path.join(directory, 'packages')
    root = os.path.join(directory, 'rootfs')
    wanted = '\n'.join(PACKAGES)
    with contextlib.suppress(FileNotFoundError):
        with open(stamp, encoding='utf-8') as f:
            if f.read() == wanted:
                return root
    print('making a Debian 12 in', root, flush=True)
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(directory, exist_ok=True)
    made = subprocess.run(['mmdebstrap', '--quiet', '--variant=minbase', '--include=' + ','.join(PACKAGES), 'bookworm', root], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if made.returncode != 0:
        sys.exit('mmdebstrap failed:\n' + made.stdout)
    for name in ('machine-id', 'hostname'):
        with open(os.path.join(root, 'etc', name), 'w', encoding='utf-8') as f:
            f.write('' if name == 'machine-id' else 'container\n')
    with open(os.path.join(root, 'etc', 'hosts'), 'w', encoding='utf-8') as f:
        f.write('127.0.0.1 localhost\n')
    subprocess.run(['chroot', root, 'useradd', '--create-home', '--shell', '/bin/bash', 'alice'], check=True)
    with open(stamp, 'w', encoding='utf-8') as f:
        f.write(wanted)
    return root


class Container:
    def __init__(self, directory):
        self.directory = directory
        self.name = 'rbt-%d' % os.getpid()
        self.layers = os.path.join(directory, self.name)
        self.root = os.path.join(self.layers, 'root')
        self.console = os.path.join(self.layers, 'console')
        self.process = None
        self.leader = 0
        self.groups = []
        self.mounted = False

    # -- its file system

    def prepare(self, rootfs):
        for name in ('root', 'upper', 'work'):
            os.makedirs(os.path.join(self.layers, name))
        options = 'lowerdir=%s,upperdir=%s/upper,workdir=%s/work' % (rootfs, self.layers, self.layers)
        self.mounted = subprocess.run(['mount', '-t', 'overlay', 'overlay', '-o', options, self.root], stderr=subprocess.DEVNULL, check=False).returncode == 0
        if not self.mounted:
            subprocess.run(['cp', '-a', '--reflink=auto', rootfs + '/.', self.root], check=True)

    def path(self, inside):
        return os.path.join(self.root, inside.lstrip('/'))

    def write(self, inside, text, mode=0o644):
        path = self.path(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(path, mode)

    def read(self, inside):
        with open(self.path(inside), encoding='utf-8', errors='replace') as f:
            return f.read()

    def files(self):
        """Everything that is not a directory, and the directories, by path."""
        found = set()
        for place, directories, files in os.walk(self.root):
            for name in directories + files:
                found.add(os.path.relpath(os.path.join(place, name), self.root))
        return found

    # -- its life

    def _make_groups(self):
        bases = [os.path.join(CGROUPS, h) for h in ('unified', 'systemd') if os.path.isdir(os.path.join(CGROUPS, h))] or [CGROUPS]
        for base in bases:
            group = os.path.join(base, self.name)
            os.makedirs(group, exist_ok=True)
            if group not in self.groups:
                self.groups.append(group)

    def _enter_groups(self):
        for group in self.groups:
            with open(os.path.join(group, 'cgroup.procs'), 'w', encoding='ascii') as f:
                f.write('0')

    def boot(self):
        self._make_groups()
        command = ['systemd-nspawn', '--quiet', '--directory=' + self.root, '--boot', '--register=no', '--keep-unit', '--machine=' + self.name, '--console=pipe', '--private-network']
        environment = dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY='1')
        with open(self.console, 'ab') as console:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment,
                                            preexec_fn=self._enter_groups)      # pylint: disable=subprocess-popen-preexec-fn
        self.leader = wait_until(self._find_leader, 'the first process of the container')
        wait_until(lambda: self.run('systemctl', 'is-system-running', check=False).strip() in ('running', 'degraded'), 'the container to be up')

    def _find_leader(self):
        if self.process.poll() is not None:
            with open(self.console, encoding='utf-8', errors='replace') as f:
                raise AssertionError('the container did not start:\n' + f.read())
        with contextlib.suppress(OSError, ValueError):
            pid = self.process.pid
            with open('/proc/%d/task/%d/children' % (pid, pid), encoding='ascii') as f:
                children = [int(c) for c in f.read().split()]
            for child in children:
                with open('/proc/%d/comm' % child, encoding='ascii') as f:
                    if f.read().strip() == 'systemd':
                        return child
        return 0

    def reboot(self):
        """Down in good order and up again. Not by systemd-nspawn's own reboot, which wants /run to be a tmpfs on the host."""
        self.run('systemctl', '--no-block', 'poweroff', check=False)
        self.process.wait(LIMIT)
        self.boot()

    def cut_power(self):
        os.kill(self.leader, signal.SIGKILL)
        self.process.wait(LIMIT)
        self.boot()

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        for group in self.groups:
            self._remove_group(group)
        if self.mounted:
            subprocess.run(['umount', '--lazy', self.root], check=False)
            self.mounted = False
        shutil.rmtree(self.layers, ignore_errors=True)

    @staticmethod
    def _remove_group(group):
        for place, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(place)

    # -- commands in it

    def argv(self, *command):
        return ['nsenter', '--target=%d' % self.leader, '--mount', '--uts', '--ipc', '--pid', '--net', '--', 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LANG=C.UTF-8',
                'HOME=/root', 'TERM=dumb', *command]

    def call(self, *command, limit=LIMIT, text=None):
        """Runs a command and returns it completed, output and errors in one."""
        try:
            return subprocess.run(self.argv(*command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', timeout=limit, check=False,
                                  **({'input': text} if text is not None else {'stdin': subprocess.DEVNULL}))
        except subprocess.TimeoutExpired as e:
            raise AssertionError('no end of: ' + ' '.join(command)) from e

    def run(self, *command, check=True, limit=LIMIT):
        done = self.call(*command, limit=limit)
        if check and done.returncode != 0:
            raise AssertionError('%s ended with status %d:\n%s' % (' '.join(command), done.returncode, done.stdout))
        return done.stdout

    def spawn(self, *command):
        return subprocess.Popen(self.argv(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def commands(self):
        """The command line of every process, by pid inside."""
        found = {}
        for line in self.run('ps', '-e', '-o', 'pid=,args=').splitlines():
            pid, _, args = line.strip().partition(' ')
            found[int(pid)] = args.strip()
        return found

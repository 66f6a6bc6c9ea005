"""The daemon is killed, again and again, in the middle of a run; the run ends well all the same, and what had ended is not run again (S3.34, section 9)."""
import json
import os
import random
import signal

import dbus
import dbus.lowlevel

import harness

NO_OPTIONS = dbus.Dictionary({}, signature='sv')

ACTIVITIES = 14
VICTIMS = (0, 1, 3, 4, 6, 8, 11, 13)

# Each step says when it begins and ends, and holds a lock meanwhile: two at once would be seen. Victims hang in their first attempt until they are killed.
STEP = '''
      - name: a%(i)d
        run: |
          exec 9>'%(dir)s/lock%(i)d'
          flock -n 9 || echo overlap %(i)d >>'%(dir)s/trace'
          echo begin %(i)d $RUNBOOK_ATTEMPT >>'%(dir)s/trace'
          if [ %(victim)d = 1 ] && [ $RUNBOOK_ATTEMPT = 1 ]; then (setsid sleep 1000 9>&9 &); sleep 1000; fi
          echo end %(i)d $RUNBOOK_ATTEMPT >>'%(dir)s/trace'
'''


def runbook(directory, victims):
    return 'phases:\n  - name: main\n    activities:' + ''.join(STEP % {'i': i, 'dir': directory, 'victim': i in victims} for i in range(ACTIVITIES))


class Killing(harness.TestCase):
    def setUp(self):
        self.trace_path = os.path.join(self.daemon.scratch, 'trace')
        with open(self.trace_path, 'w', encoding='utf-8'):
            pass

    def trace(self):
        with open(self.trace_path, encoding='utf-8') as f:
            return f.read().splitlines()

    def check(self, run, kills):
        """Every activity has exactly one good attempt; every attempt began exactly once; none began beside another; the history has no gap."""
        trace = self.trace()
        self.assertFalse([line for line in trace if line.startswith('overlap')])
        activities = run.describe()['activities']
        interrupted = 0
        for i, a in enumerate(activities):
            self.assertEqual(a['state'], 'success')
            states = [t['state'] for t in a['attempts']]
            self.assertEqual(states, ['interrupted'] * (len(states) - 1) + ['success'])
            self.assertEqual([t['cause'] for t in a['attempts'][1:]], ['resume'] * (len(states) - 1))
            self.assertEqual([t['number'] for t in a['attempts']], list(range(1, len(states) + 1)))
            interrupted += len(states) - 1
            for t in a['attempts']:
                begun = trace.count('begin %d %d' % (i, t['number']))
                if t['state'] == 'success':
                    self.assertEqual(begun, 1)
                    self.assertEqual(trace.count('end %d %d' % (i, t['number'])), 1)
                else:
                    self.assertLessEqual(begun, 1)
            finished = [e for e in run.events('step-finished') if e['activity'] == a['name'] and e['state'] == 'success']
            self.assertEqual(len(finished), 1)
        self.assertLessEqual(interrupted, kills)
        self.assertEqual([int(e[0]) for e in run.history()], list(range(1, len(run.history()) + 1)))
        return interrupted


class Kill9(Killing):
    def test_eight_times_mid_step(self):
        self.daemon.write_runbook('victims', runbook(self.daemon.scratch, VICTIMS))
        run = self.daemon.start_run('victims')
        for i in VICTIMS:
            harness.wait_until(lambda i=i: 'begin %d 1' % i in self.trace(), 'activity %d\n%s' % (i, self.daemon.log()))
            self.daemon.kill9()
            self.daemon.start()
        self.assertEqual(run.wait_ended(), 'success')
        self.assertEqual(self.check(run, 8), 8)

    def test_what_was_answered_is_there(self):
        """A start that was answered survives a kill right after the answer; so does an approval."""
        self.daemon.write_runbook('ask', harness.ASK)
        for i in range(8):
            run = self.daemon.start_run('ask', Labels={'n': str(i)})
            self.daemon.kill9()
            self.daemon.start()
            run.wait_state('on-hold')
            self.assertEqual(dict(run.get('Labels')), {'n': str(i)})
            run.approve('sign-off', Comment=str(i))
            self.daemon.kill9()
            self.daemon.start()
            self.assertEqual(run.wait_ended(), 'success')
            self.assertEqual(run.log('after'), '%d\n' % i)
            self.assertEqual(len(run.events('request-answered')), 1)

    def test_too_often(self):
        """An activity that is interrupted more than MaxResumes= times ends in the dead letters."""
        self.daemon.write_runbook('forever', harness.waiting_runbook(self.daemon.scratch, 'never'))
        run = self.daemon.start_run('forever')
        for i in range(4):
            harness.wait_until(lambda n=i + 1: run.activity_get('wait', 'Attempt') == n and run.activity_get('wait', 'State') == 'running', 'attempt %d' % (i + 1))
            self.daemon.kill9()
            self.daemon.start()
        self.assertEqual(run.wait_ended(), 'dlq')
        self.assertEqual(self.daemon.get(harness.PATH, harness.MANAGER, 'RunsDeadLetter'), 1)


class Waiting(harness.TestCase):
    """Runs that wait for a slot are seen by everybody from the first answer on, and outlive the daemon."""

    COUNT = 50

    @classmethod
    def make_daemon(cls):
        return harness.Daemon(config='[Runbookd]\nMaxSteps=1\n')

    def send(self, path, interface, method, signature, *args):
        """The reply comes into self.replies, in the order of the calls; after the last that is wanted the daemon dies."""
        index = len(self.replies)
        self.replies.append(None)
        message = dbus.lowlevel.MethodCallMessage(harness.NAME, path, interface, method)
        message.append(*args, signature=signature)

        def on_reply(reply):
            self.replies[index] = (reply.get_error_name(), reply.get_args_list(byte_arrays=True))
            if None not in self.replies:
                self.daemon.kill9()
        self.daemon.connection.send_message_with_reply(message, on_reply, timeout_s=harness.WAIT)

    def numbers(self):
        return [int(r[0]) for r in self.daemon.manager('ListRuns', 'a{sv}', NO_OPTIONS)]

    def test_burst(self):
        self.replies = []
        self.daemon.write_runbook('sleeper', harness.waiting_runbook(self.daemon.scratch, 'never'))
        self.daemon.write_runbook('hello', harness.HELLO)
        sleeper = self.daemon.start_run('sleeper')
        sleeper.wait_activity('wait', 'running')
        last = self.daemon.run(sleeper.id + self.COUNT)
        everything = list(range(last.id, 0, -1))

        os.kill(self.daemon.process.pid, signal.SIGSTOP)        # so that all of it is one burst
        try:
            for i in range(self.COUNT):
                labels = dbus.Dictionary({'n': str(i)}, signature='ss', variant_level=1)
                self.send(harness.PATH, harness.MANAGER, 'StartRun', 'sa{sv}a{sv}', 'hello', NO_OPTIONS, dbus.Dictionary({'Labels': labels}, signature='sv'))
            self.send(harness.PATH, harness.MANAGER, 'ListRuns', 'a{sv}', NO_OPTIONS)
            self.send(harness.PATH, harness.MANAGER, 'GetRun', 'u', last.id)
            self.send(last.path, harness.RUN, 'GetHistory', 'uu', 0, 0)
            self.send(last.path, harness.RUN, 'Describe', '')
            self.send(last.path, harness.PROPERTIES, 'GetAll', 's', harness.RUN)
            self.send(harness.PATH, harness.PROPERTIES, 'Get', 'ss', harness.MANAGER, 'RunsActive')
            self.daemon.connection.flush()
        finally:
            os.kill(self.daemon.process.pid, signal.SIGCONT)
        harness.wait_until(lambda: self.daemon.process.poll() is not None, 'the replies')

        self.assertEqual([error for error, _ in self.replies if error], [])
        starts = [int(args[0]) for _, args in self.replies[:self.COUNT]]
        self.assertEqual(starts, list(range(sleeper.id + 1, last.id + 1)))
        listed, path, history, description, properties, active = [args[0] for _, args in self.replies[self.COUNT:]]
        self.assertEqual([int(r[0]) for r in listed], everything)
        self.assertEqual(str(path), last.path)
        self.assertEqual([str(e[3]) for e in history][:1], ['run-created'])
        description = json.loads(description)
        self.assertEqual((description['id'], description['runbook'], description['labels']), (last.id, 'hello', {'n': str(self.COUNT - 1)}))
        self.assertEqual(dict(properties['Labels']), {'n': str(self.COUNT - 1)})
        self.assertEqual(int(active), self.COUNT + 1)

        self.daemon.start()
        self.assertEqual(self.numbers(), everything)
        self.assertEqual(int(self.daemon.get(harness.PATH, harness.MANAGER, 'RunsActive')), self.COUNT + 1)
        sleeper.call('Cancel', 'a{sv}', NO_OPTIONS)
        for number in starts:
            run = self.daemon.run(number)
            self.assertEqual(run.wait_ended(), 'success')
            self.assertEqual(run.log('greet'), 'hello\n')
            self.assertEqual(len(run.events('run-created')), 1)
        self.assertEqual(self.numbers(), everything)
        self.assertEqual(self.daemon.start_run('hello').id, last.id + 1)


class AtAnyMoment(Killing):
    """The moments are drawn; what matters holds at each of them. The same activity may be hit often."""

    @classmethod
    def make_daemon(cls):
        return harness.Daemon(config='[Runbookd]\nMaxResumes=1000\n')

    def test_eight_times_at_any_moment(self):
        dice = random.Random(7)
        self.daemon.write_runbook('quick', runbook(self.daemon.scratch, ()))
        for _ in range(3):
            os.truncate(self.trace_path, 0)
            run = self.daemon.start_run('quick')
            for _ in range(8):
                lines = len(self.trace()) + dice.randrange(4)
                harness.wait_until(lambda n=lines: len(self.trace()) >= n or run.get('FinishedAt'), 'progress')
                self.daemon.kill9()
                self.daemon.start()
            self.assertEqual(run.wait_ended(), 'success')
            self.check(run, 8)


if __name__ == '__main__':
    harness.main()

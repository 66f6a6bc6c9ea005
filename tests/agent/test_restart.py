"""An agent that is killed leaves its notifications on the screen; the next one takes them over, so that there is one notification for a request and no button that nobody answers
to. S0.18, S5.5. What it is told about them stands in a file, which may be anything."""

import glob
import json
import os
import signal

import agent_harness
from agent_harness import NAME, wait_until

FILES = ('runbook-agent-*.json', 'runbook-agent-user-*.json')


class Base(agent_harness.TestCase):
    def setUp(self):
        super().setUp()
        self.screen, self.daemon = self.server(first_id=7), self.runbookd()

    def files(self, pattern=FILES[0]):
        return [f for f in glob.glob(os.path.join(self.scratch, pattern)) if 'user' not in f or 'user' in pattern]

    def kept(self):
        """What the file says: keys and numbers."""
        with open(self.files()[0], encoding='ascii') as f:
            return {n['key']: n['id'] for n in json.load(f)['notes']}

    def wait_kept(self, *notes):
        """Until exactly these notifications are in the file."""
        ids = {n.id for n in notes}
        wait_until(lambda: (set(self.kept().values()) if self.files() else set()) == ids, 'these in the file: %r' % ids)

    def kill(self, agent):
        self.assertEqual(self.end(agent, signal.SIGKILL), -signal.SIGKILL)

    def killed_with(self, *titles):
        """An agent showed a request of each title and was killed: paths and notifications."""
        agent = self.start()
        paths = [self.daemon.add(i + 1, 'a', title=t) for i, t in enumerate(titles)]
        notes = [self.screen.wait(t) for t in titles]
        self.wait_kept(*notes)
        self.kill(agent)
        return paths, notes


class Killed(Base):
    def test_open_is_taken_over(self):
        _, (one, two) = self.killed_with('one', 'two')
        self.start()
        self.settle(self.daemon, self.screen)
        self.assertEqual({n.id: n.summary for n in self.screen.there.values()}, {one.id: 'one', two.id: 'two'})
        self.assertEqual([(n.replaces, n.id) for n in self.screen.log[2:]], [(one.id, one.id), (two.id, two.id)])
        self.assertEqual(self.screen.closed, [])

    def test_the_buttons_work_again(self):
        (path,), _ = self.killed_with('one')
        self.start()
        wait_until(lambda: len(self.screen.log) == 2, 'the second')
        self.screen.press(self.screen.wait('one'), 'approve')
        wait_until(lambda: path not in self.daemon.requests, 'the answer')

    def test_answered_meanwhile_is_closed(self):
        (path, _), (one, two) = self.killed_with('one', 'two')
        self.daemon.resolve(path)
        self.start()
        self.screen.wait('one', gone=True)
        self.settle(self.daemon, self.screen)
        self.assertEqual((self.screen.closed, list(self.screen.there)), ([one.id], [two.id]))
        self.wait_kept(two)

    def test_all_are_answered_meanwhile(self):
        (path,), (one,) = self.killed_with('one')
        self.daemon.resolve(path)
        self.start()
        self.screen.wait('one', gone=True)
        self.settle(self.daemon, self.screen)
        self.assertEqual((self.screen.closed, self.screen.log), ([one.id], [one]))
        wait_until(lambda: not self.files(), 'the end of the file')

    def test_another_question_meanwhile(self):
        (path,), (one,) = self.killed_with('one')
        self.daemon.resolve(path)
        self.assertEqual(self.daemon.add(1, 'a', kind='decision', title='other'), path)
        self.start()
        self.assertEqual(self.screen.wait('other').id, one.id)
        self.assertEqual(len(self.screen.there), 1)

    def test_answered_by_me_meanwhile(self):
        """Others have to answer too, so it is listed still."""
        (path,), (one,) = self.killed_with('one')
        self.daemon.requests[path]['answers'] = [{'uid': os.getuid(), 'action': 'approve'}]
        self.start()
        self.screen.wait('one', gone=True)
        self.assertEqual(self.screen.closed, [one.id])

    def test_refused_by_now(self):
        _, (one,) = self.killed_with('one')
        self.daemon.refuse['GetRequest'] = [(NAME + '.Error.NotApprover', 'no')]
        self.start()
        self.screen.wait('one', gone=True)
        self.assertEqual(self.screen.closed, [one.id])

    def test_for_others_by_now(self):
        (path,), (one,) = self.killed_with('one')
        self.daemon.requests[path]['approvers'] = ['nosuchuser']
        self.start()
        self.screen.wait('one', gone=True)
        self.assertEqual(self.screen.closed, [one.id])

    def test_a_list_that_is_refused(self):
        _, (one,) = self.killed_with('one')
        self.daemon.refuse['ListRequests'] = [('org.freedesktop.DBus.Error.AccessDenied', 'not for you')]
        self.start()
        self.screen.wait('one', gone=True)
        self.assertEqual(self.screen.closed, [one.id])

    def test_killed_again_and_again(self):
        _, (one, two) = self.killed_with('one', 'two')
        for i in range(3):
            agent = self.start()
            wait_until(lambda: len(self.screen.log) == 4 + 2 * i, 'both again')  # pylint: disable=cell-var-from-loop
            self.kill(agent)
        self.assertEqual(sorted(self.screen.there), [one.id, two.id])

    def test_killed_before_it_knew_what_is_open(self):
        _, (one,) = self.killed_with('one')
        self.daemon.stuck['ListRequests'] = []
        agent = self.start()
        wait_until(lambda: self.daemon.stuck['ListRequests'], 'the question')
        self.kill(agent)
        del self.daemon.stuck['ListRequests']
        self.start()
        self.settle(self.daemon, self.screen)
        self.assertEqual([(n.id, n.replaces) for n in self.screen.log[1:]], [(one.id, one.id)])

    def test_ended_before_it_knew_what_is_open(self):
        """Its own buttons or those of the one before: none is left by an agent that ends in good order."""
        _, (one,) = self.killed_with('one')
        self.daemon.stuck['ListRequests'] = []
        agent = self.start()
        wait_until(lambda: self.daemon.stuck['ListRequests'], 'the question')
        self.assertEqual(self.end(agent), 0)
        self.screen.wait('one', gone=True)
        self.assertEqual((self.screen.closed, self.files()), ([one.id], []))

    def test_closed_by_the_person_meanwhile(self):
        """Numbers that the server has no more: it gives another."""
        _, (one,) = self.killed_with('one')
        self.screen.there.pop(one.id)
        self.screen.next_id = 50
        self.start()
        self.assertEqual(self.screen.wait('one').id, 50)
        self.wait_kept(self.screen.wait('one'))

    def test_withdrawn_while_it_was_being_replaced(self):
        agent = self.start()
        path = self.daemon.add(1, 'a', title='one')
        one = self.screen.wait('one')
        self.screen.stuck['Notify'] = []
        self.daemon.requests[path]['title'] = 'other'
        self.daemon.required(path)
        wait_until(lambda: self.screen.stuck['Notify'], 'the other words')
        self.daemon.resolve(path)
        wait_until(lambda: self.files() and self.kept() == {'': one.id}, 'one in the file that is nobody\'s any more')
        self.kill(agent)
        del self.screen.stuck['Notify']
        self.start()
        self.screen.wait('one', gone=True)
        self.assertEqual(self.screen.closed, [one.id])

    def pressed_on_its_way(self, path, note):
        """'other' is on its way to the place of that notification while somebody presses a button there, for what he reads; what is shown then."""
        self.screen.press(note, 'approve')
        self.screen.let_go('Notify')
        self.settle(self.daemon, self.screen)
        self.assertEqual([c for c in self.daemon.called('Approve') if c[0] == path], [])
        other = self.screen.wait('other')
        self.screen.press(other, 'approve')
        wait_until(lambda: path not in self.daemon.requests, 'the answer')

    def test_pressed_before_it_is_taken_over(self):
        """Another question of the same activity has come meanwhile: the answer is not one to that."""
        (path,), (one,) = self.killed_with('one')
        self.daemon.resolve(path)
        self.assertEqual(self.daemon.add(1, 'a', title='other'), path)
        self.screen.stuck['Notify'] = []
        self.start()
        wait_until(lambda: self.screen.stuck['Notify'], 'the other words')
        self.pressed_on_its_way(path, one)

    def test_pressed_before_it_has_other_words(self):
        """The same of one agent: runbookd was away."""
        self.start()
        path = self.daemon.add(1, 'a', title='one')
        one = self.screen.wait('one')
        self.screen.stuck['Notify'] = []
        self.daemon.requests[path]['title'] = 'other'
        self.daemon.required(path)
        wait_until(lambda: self.screen.stuck['Notify'], 'the other words')
        self.pressed_on_its_way(path, one)

    def test_a_number_that_the_server_refuses(self):
        _, (one,) = self.killed_with('one')
        self.screen.refuse['Notify'] = [('org.freedesktop.DBus.Error.InvalidArgs', 'no such notification')]
        self.start()
        again = wait_until(lambda: [n for n in self.screen.log if n.id != one.id], 'another one')[0]
        self.settle(self.daemon, self.screen)
        self.assertEqual((again.replaces, again.summary, self.screen.closed, list(self.screen.there)), (0, 'one', [one.id], [again.id]))

    def test_a_server_that_replaces_nothing(self):
        _, (one,) = self.killed_with('one')
        notify = self.screen.do_Notify
        self.screen.do_Notify = lambda path, app, replaces, *rest: notify(path, app, 0, *rest)
        self.start()
        self.screen.wait_count(1)
        wait_until(lambda: self.screen.closed == [one.id], 'the end of the first')
        self.assertNotEqual(self.screen.wait('one').id, one.id)

    def test_the_server_restarts_meanwhile(self):
        """Its numbers begin anew, so the old one would be somebody else's."""
        self.killed_with('one')
        self.screen.stop()
        screen = self.server(first_id=7)
        screen.there[7] = other = agent_harness.Note(7, ('mail', 0, '', 'You have mail', '', [], {}, 0))
        screen.next_id = 8
        self.start()
        n = screen.wait('one')
        self.settle(self.daemon, screen)
        self.assertEqual((n.replaces, n.id, screen.closed, screen.there[7]), (0, 8, [], other))

    def test_no_server_any_more(self):
        """Nobody is started for what was on the old one's screen."""
        (path,), _ = self.killed_with('one')
        self.screen.stop()
        self.daemon.resolve(path)
        self.start()
        wait_until(lambda: not self.files(), 'the end of the file')

    def test_the_server_restarts_before_the_list_is_there(self):
        self.killed_with('one')
        self.daemon.stuck['ListRequests'] = []
        self.start()
        wait_until(lambda: self.daemon.stuck['ListRequests'], 'the question')
        self.screen.stop()
        screen = self.server(first_id=7)
        wait_until(lambda: not self.files(), 'the end of the file')
        self.daemon.let_go('ListRequests')
        n = screen.wait('one')
        self.assertEqual((n.replaces, screen.closed), (0, []))

    def test_runbookd_is_away(self):
        """Nobody can say whether it is open still, and its buttons would do nothing; with runbookd it comes back."""
        _, (one,) = self.killed_with('one')
        old = self.daemon
        old.stop()
        self.start()
        self.screen.wait('one', gone=True)
        self.assertEqual(self.screen.closed, [one.id])
        self.daemon = self.runbookd()
        self.daemon.add(1, 'a', title='one')
        self.assertEqual(self.screen.wait('one').replaces, 0)

    def test_the_system_bus_is_away(self):
        _, (one,) = self.killed_with('one')
        self.system.stop()
        self.start()
        self.screen.wait('one', gone=True)
        self.assertEqual(self.screen.closed, [one.id])

    def test_the_notification_that_counts_the_others(self):
        agent = self.start()
        paths = [self.daemon.add(i + 1, 'a', title='request %02d' % i) for i in range(22)]
        more = self.screen.wait('2 more requests wait')
        self.screen.wait_count(21)
        self.wait_kept(*self.screen.there.values())
        self.kill(agent)
        self.daemon.resolve(paths[0])
        self.daemon.resolve(paths[21])
        agent = self.start()
        self.screen.wait('request 20')
        self.screen.wait('more request', gone=True)
        self.screen.wait_count(20)
        self.wait_kept(*self.screen.there.values())
        self.assertIn(more.id, self.screen.closed)
        # And one that is taken over.
        for i in range(3):
            self.daemon.add(50 + i, 'a', title='request 5%d' % i)
        more = self.screen.wait('3 more requests wait')
        self.wait_kept(*self.screen.there.values())
        self.kill(agent)
        n = len(self.screen.log)
        self.start()
        wait_until(lambda: len(self.screen.log) == n + 21, 'all of them')
        self.assertEqual(self.screen.wait('3 more requests wait').id, more.id)
        self.screen.wait_count(21)

    def test_what_the_person_closed_is_not_in_the_file(self):
        self.start()
        self.daemon.add(1, 'a', title='one')
        self.daemon.add(2, 'a', title='two')
        two = self.screen.wait('two')
        self.screen.dismiss(self.screen.wait('one'))
        self.wait_kept(two)

    def test_errors_are_not_in_the_file(self):
        self.start()
        self.daemon.add(1, 'a', title='one')
        one = self.screen.wait('one')
        self.daemon.refuse['Approve'] = [(NAME + '.Error.InvalidInput', 'no')]
        self.screen.tell('ActionInvoked', '(us)', one.id, 'approve')
        self.screen.wait('1/a was not approved')
        self.daemon.add(2, 'a', title='two')
        self.wait_kept(one, self.screen.wait('two'))

    def test_the_file_is_private_and_goes_at_the_end(self):
        agent = self.start()
        self.daemon.add(1, 'a', title='one')
        self.wait_kept(self.screen.wait('one'))
        (path,) = self.files()
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        self.assertEqual(self.end(agent), 0)
        self.assertEqual(os.listdir(self.scratch).count(os.path.basename(path)), 0)
        self.assertEqual([f for f in os.listdir(self.scratch) if 'runbook-agent' in f], [])

    def test_another_agent_that_leaves_at_once_does_not_touch_it(self):
        self.start()
        self.daemon.add(1, 'a', title='one')
        one = self.screen.wait('one')
        self.wait_kept(one)
        self.assertEqual(self.start().wait(agent_harness.LIMIT), 78)
        self.wait_kept(one)
        self.assertEqual(self.screen.closed, [])

    def test_another_session_of_the_same_person(self):
        """Two buses, one runtime directory."""
        _, (one,) = self.killed_with('one')
        mine, self.session = self.session, self.bus('other')
        screen = self.server(first_id=7)
        self.start()
        self.assertEqual(screen.wait('one').replaces, 0)
        wait_until(lambda: len(self.files()) == 2, 'a file for each')
        self.session = mine
        self.start()
        wait_until(lambda: len(self.screen.log) == 2, 'the same on the first screen')
        self.assertEqual((self.screen.log[1].id, screen.closed), (one.id, []))


class Directory(Base):
    """The runtime directory and what stands in it are not what they should be: then it is as if nothing had been kept."""

    def shown_anew(self, **env):
        """An agent shows the request beside what the first has left."""
        agent = self.start(**env)
        wait_until(lambda: len(self.screen.log) == 2, 'the second')
        self.settle(self.daemon, self.screen)
        self.assertEqual((self.screen.log[1].replaces, self.screen.closed), (0, []))
        return agent

    def spoil(self, text):
        with open(self.files()[0], 'w', encoding='utf-8') as f:
            f.write(text)

    def test_garbage(self):
        _, (one,) = self.killed_with('one')
        (path,) = self.files()
        with open(path, encoding='ascii') as f:
            good = f.read()
        (key,) = self.kept()
        note = '{"key": "%s", "id": %%s}' % key
        server = json.loads(good)['server']
        for bad in ('', '[', '[]', '{}', '7', good[:-1], good + 'x', 'x' * 70000, '[' * 100, '{"server": 5, "notes": []}', '{"server": "%s"}' % server,
                    *('{"server": "%s", "notes": [%s]}' % (server, n) for n in
                      (note % -1, note % 0, note % 4294967296, note % '"7"', note % '7.5', note % '[7]', '"x"', 'null', '{"id": 7}', '{"key": 1, "id": 7}', '{"key": "x"}',
                       '{"key": "%s", "id": 7}' % ('k' * 257), ', '.join([note % 7] * 129))),
                    '{"server": ":9.9", "notes": [%s]}' % (note % one.id)):
            self.spoil(bad)
            agent = self.start()
            wait_until(lambda: len(self.screen.log) == 2, 'the second, for %.60r' % bad)  # pylint: disable=cell-var-from-loop
            self.assertEqual((self.screen.log[1].replaces, self.screen.closed), (0, []), bad[:200])
            self.wait_kept(self.screen.log[1])
            self.kill(agent)
            self.screen.there.pop(self.screen.log.pop().id)

    def test_links_and_others_in_its_place(self):
        self.killed_with('one')
        (path,) = self.files()
        elsewhere = os.path.join(self.scratch, 'elsewhere')
        os.rename(path, elsewhere)
        with open(elsewhere, 'rb') as f:
            before = f.read()
        os.symlink(elsewhere, path)
        agent = self.shown_anew()
        self.wait_kept(*(n for n in self.screen.log if n.id != 7))
        self.assertFalse(os.path.islink(path))
        with open(elsewhere, 'rb') as f:
            self.assertEqual(f.read(), before)
        self.kill(agent)
        for make in (os.mkdir, os.mkfifo):
            os.unlink(path)
            make(path)
            last = len(self.screen.log)
            agent = self.start()
            wait_until(lambda: len(self.screen.log) == last + 1, 'another')  # pylint: disable=cell-var-from-loop
            self.assertEqual((self.screen.log[-1].replaces, self.screen.closed), (0, []))
            self.kill(agent)
            if make is os.mkdir:
                os.rmdir(path)
                with open(path, 'w', encoding='ascii'):
                    pass

    def test_no_runtime_directory(self):
        agent = self.start(XDG_RUNTIME_DIR='')
        self.daemon.add(1, 'a', title='one')
        self.screen.wait('one')
        self.kill(agent)
        for value in ('', 'relative', os.path.join(self.scratch, 'not-there'), os.path.join(self.scratch, 'log')):
            last = len(self.screen.log)
            agent = self.start(XDG_RUNTIME_DIR=value)
            wait_until(lambda: len(self.screen.log) == last + 1, 'another')  # pylint: disable=cell-var-from-loop
            self.settle(self.daemon, self.screen)
            self.assertEqual(self.end(agent), 0)
        self.assertEqual(self.files(), [])

    def test_a_directory_that_others_may_write_to(self):
        self.killed_with('one')
        os.chmod(self.scratch, 0o777)
        before = self.kept()
        self.shown_anew()
        self.assertEqual(self.kept(), before)

    def test_a_directory_that_takes_no_files(self):
        """As a full disk: what can't be written is not there for the next one; everything else goes on."""
        agent = self.start(XDG_RUNTIME_DIR='/proc/self')
        path = self.daemon.add(1, 'a', title='one')
        n = self.screen.wait('one')
        wait_until(lambda: "can't be kept" in self.log(), 'the attempt to write it')
        self.settle(self.daemon, self.screen)
        self.screen.press(n, 'approve')
        wait_until(lambda: path not in self.daemon.requests, 'the answer')
        self.assertEqual(self.end(agent), 0)


class UserMode(Base):
    user_mode = True

    def test_both_agents_of_a_session_keep_their_own(self):
        first = self.start()
        self.daemon.add(1, 'a', title='of mine')
        mine = self.screen.wait('of mine')
        wait_until(lambda: self.files(FILES[1]), 'its file')
        self.user_mode = False
        daemon = self.runbookd()
        second = self.start()
        daemon.add(1, 'a', title='of the system')
        other = self.screen.wait('of the system')
        wait_until(self.files, 'its file, too')
        self.kill(first)
        self.kill(second)
        self.start()
        wait_until(lambda: len(self.screen.log) == 3, 'the one of the system')
        self.settle(daemon, self.screen)
        self.assertEqual((self.screen.log[2].id, sorted(self.screen.there), self.screen.closed), (other.id, [mine.id, other.id], []))


if __name__ == '__main__':
    agent_harness.main()

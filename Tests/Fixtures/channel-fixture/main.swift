// Programs that fork and use the channel, one scenario each: channel-fixture SCENARIO [ARGUMENTS].

import PreforkFixtureSupport
import PreforkSystem

// The first process of a scenario works as its children do: on a busy machine it may wait longer than a supervisor.
LockPatience.allowLongWaits()

runScenario(of: [
    "killed-sender": killedSenderScenario,
    "killed-receiver": killedReceiverScenario,
    "death": deathScenario,
    "death-of-early-callee": deathOfEarlyCalleeScenario,
    "death-of-receiver": deathOfReceiverScenario,
    "blocking": blockingScenario,
    "stopped": stoppedScenario,
    "close": closeScenario,
    "closed-lives": closedEndLivesScenario,
    "end-in-use": endInUseScenario,
    "succession": successionScenario,
    "succession-calls": successionCallsScenario,
    "succession-late-send": successionLateSendScenario,
    "succession-kill": successionKillScenario,
    "succession-passed-over": successionPassedOverScenario,
    "succession-gap": successionGapScenario,
    "peer-events": peerEventsScenario,
    "deliver": deliverScenario,
    "ping-pong": pingPongScenario,
    "stream": streamScenario,
    "descriptors": descriptorsScenario,
])

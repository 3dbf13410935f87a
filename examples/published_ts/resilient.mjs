// A program that lives with a bad network: every command that failed with the socket is given again.
// Calls to `...long` hear a tone, while short actions run one after another; others are answered and hung up.
import { SignalWire } from "@signalwire/realtime-api";

const tell = (what, more = {}) => console.log(JSON.stringify({ what, t: Date.now() / 1000, ...more }));
const words = (error) => String(error?.message ?? error?.code ?? error?.state ?? error);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const client = await SignalWire({
  host: process.env.SIGNALWIRE_SPACE,
  project: process.env.SIGNALWIRE_PROJECT_ID,
  token: process.env.SIGNALWIRE_API_TOKEN,
});
process.on("unhandledRejection", (error) => tell("unhandled", { error: words(error) }));

// Ask until it settles; a promise of this client whose socket was cut may stay pending for ever.
async function insist(call, what, ask, done) {
  for (let attempt = 0; attempt < 60; attempt++) {
    try {
      return await Promise.race([ask(), pause(8000).then(() => Promise.reject(new Error("pending for 8 s")))]);
    } catch (error) {
      tell("retry", { call_id: call.id, on: what, error: words(error) });
      if (done() || (attempt && error?.code && error.code !== "-1")) return null;
      await pause(200);
    }
  }
  throw new Error("no answer in 60 attempts");
}

const ended = (call) => call.state === "ended";

async function live(call) {
  const answered = () => ["answered", "ending", "ended"].includes(call.state);
  await insist(call, "answer", () => call.answer(), answered);
  if (JSON.stringify([call.to, call.device]).includes("long")) {
    const tone = { type: "audio", url: process.argv[2] };
    await insist(call, "tone", () => call.playAudio(tone).onStarted(), () => ended(call));
    tell("tone", { call_id: call.id });
    while (call.state === "answered") {
      const play = await insist(call, "play", () => call.playSilence({ duration: 0.1 }).onEnded(), () => ended(call));
      if (play) tell("action", { call_id: call.id, control_id: play.id, state: play.state });
    }
  } else {
    await insist(call, "play", () => call.playSilence({ duration: 0.5 }).onEnded(), () => ended(call));
    await insist(call, "hangup", () => call.hangup(), () => ended(call));
  }
}

await client.voice.listen({
  topics: ["default"],
  onCallReceived: async (call) => {
    tell("call", { call_id: call.id, to: call.to });
    const over = new Promise((resolve) => {
      const onStateChanged = (c) => {
        tell("state", { call_id: c.id, state: c.state });
        if (ended(c)) resolve();
      };
      call.listen({ onStateChanged });
    });
    try {
      await live(call);
      await over;
      tell("done", { call_id: call.id });
    } catch (error) {
      tell("failed", { call_id: call.id, error: words(error) });
    }
  },
});
tell("listening");

// Listens to the original's result service as its page does, until it says what is expected.
// Arguments: its address, the scores as JSON, and for how many milliseconds to listen.
const { io } = require("socket.io-client");

const [address, expected, limit] = process.argv.slice(2);
let last = "nothing";
const socket = io(address);
socket.on("scores", (text) => {
  last = text;
  if (text === expected) process.exit(0);
});
setTimeout(() => {
  console.error(`it says ${last}, not ${expected}`);
  process.exit(1);
}, Number(limit));

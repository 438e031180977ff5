// Asks a database for the scores as the original's result service does, on a client of a pool, and prints them.
// Argument: the database's address.
const { Pool } = require("pg");

const pool = new Pool({ connectionString: process.argv[2] });
const question = "SELECT vote, COUNT(id) AS count FROM votes GROUP BY vote";
pool.query(question, []).then(({ rows }) => {
  const scores = { a: 0, b: 0 };
  for (const { vote, count } of rows) scores[vote] = parseInt(count, 10);
  console.log(JSON.stringify(scores));
  return pool.end();
});

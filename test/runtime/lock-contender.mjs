// A process that takes locks when it is told to and says how that went; lock.test.ts starts several.
const { acquireLock } = await import(process.env.MODULE);
process.on("message", ({ path, timing }) => {
  acquireLock(path, "the thing", timing === undefined ? {} : { timing }).then(
    () => process.send("got it"),
    (error) => process.send(error.message),
  );
});
process.send("ready");

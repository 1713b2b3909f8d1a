/** What verbs call, behind one import: it loads the engines. */
export { doctor } from "../library/doctor.js";
export { fit, planFit, resume } from "../library/fit.js";
export { quickstart } from "../library/quickstart.js";
export { report, sync } from "../library/runs.js";
export {
  convertCoefficients,
  evaluateMethod,
  evaluateModel,
  initSuite,
  mergeToDirectory,
  openPredictor,
} from "../run.js";

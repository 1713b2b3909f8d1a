/** `predict` and `openPredictor` for programs: labels and probabilities by a saved model with its heads, as `adamerge predict` prints them. */
export {
  type GivenInputs,
  type LabelProbability,
  type OpenPredictorOptions,
  openPredictor,
  type PredictionRow,
  type PredictOptions,
  type Predictor,
  predict,
  type TaskPrediction,
} from "../run/predict/predict.js";

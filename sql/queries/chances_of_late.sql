-- Is a chance of 30 % late in 3 of 10 flights? Predicted and actual share of late flights by tenth of the prediction.
SELECT mode, least(floor(prediction * 10), 9) / 10 AS predicted_from, count(*) AS answers,
       avg(prediction) AS mean_prediction, avg(label) AS late_share
FROM flights.late_outcomes
GROUP BY mode, least(floor(prediction * 10), 9)
ORDER BY mode, predicted_from
